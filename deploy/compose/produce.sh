#!/usr/bin/env bash
# Writes a shop's log events until it is stopped: visitors, and a few addresses that look for ways in. All addresses are of the
# ranges for documentation (RFC 5737).
set -euo pipefail

attackers=(192.0.2.10 198.51.100.23 203.0.113.9)
pages=(/ /index.html /basket /checkout /img/logo.png)
probes=(/wp-login.php /.env /admin/ '/search?q=1%27%20OR%201=1' '/../../etc/passwd')
names=(root admin test oracle postgres)

# Not by a name reference: the image's bash is 4.2, which has none.
pick() { local at=$((RANDOM % $# + 1)); echo "${!at}"; }
visitor() { echo "203.0.113.$((RANDOM % 200 + 20))"; }

apache() {
  local at
  at=$(date -u '+%d/%b/%Y:%H:%M:%S +0000')
  if ((RANDOM % 3)); then
    echo "$(visitor) - - [$at] \"GET $(pick "${pages[@]}") HTTP/1.1\" 200 $((RANDOM % 9000 + 500)) \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\""
  else
    echo "$(pick "${attackers[@]}") - - [$at] \"GET $(pick "${probes[@]}") HTTP/1.1\" 404 196 \"-\" \"sqlmap/1.8\""
  fi
}

sshd() {
  local head
  head="$(date -u '+%b %e %H:%M:%S') shop-1 sshd[$((RANDOM + 1000))]:"
  if ((RANDOM % 20 == 0)); then
    echo "$head Accepted publickey for ec2-user from $(visitor) port $((RANDOM + 20000)) ssh2"
  elif ((RANDOM % 2)); then
    echo "$head Failed password for invalid user $(pick "${names[@]}") from $(pick "${attackers[@]}") port $((RANDOM + 20000)) ssh2"
  else
    echo "$head Connection closed by $(pick "${attackers[@]}") port $((RANDOM + 20000)) [preauth]"
  fi
}

flow() {
  local now action=ACCEPT port=443 from
  now=$(date +%s)
  from=$(visitor)
  if ((RANDOM % 4 == 0)); then action=REJECT port=$((RANDOM % 1024)) from=$(pick "${attackers[@]}"); fi
  echo "2 123456789012 eni-0a1b2c3d4e5f67890 $from 10.20.0.15 $((RANDOM + 20000)) $port 6 $((RANDOM % 40 + 1)) $((RANDOM + 40)) $((now - 60)) $now $action OK"
}

cloudtrail() {
  local refused=''
  if ((RANDOM % 3 == 0)); then refused='"errorCode":"AccessDenied","errorMessage":"not authorized",'; fi
  printf '{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/deploy","accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},'
  printf '"eventTime":"%s","eventSource":"ssm.amazonaws.com","eventName":"SendCommand","awsRegion":"us-east-1","sourceIPAddress":"%s",' \
    "$(date -u '+%Y-%m-%dT%H:%M:%SZ')" "$(pick "${attackers[@]}")"
  printf '"userAgent":"aws-cli/2.15.30","requestParameters":{"documentName":"AWS-RunShellScript"},%s"responseElements":null,"eventType":"AwsApiCall",' "$refused"
  printf '"readOnly":false,"managementEvent":true,"recipientAccountId":"123456789012"}\n'
}

# send GROUP FUNCTION N puts N lines of the function into the group.
send() {
  local lines='' line now
  for ((i = 0; i < $3; i++)); do
    line=$($2)
    line=${line//\\/\\\\}
    now=$(date +%s%3N)
    lines+="${lines:+,}{\"timestamp\":$now,\"message\":\"${line//\"/\\\"}\"}"
  done
  aws logs put-log-events --log-group-name "$1" --log-stream-name producer --log-events "[$lines]" >/dev/null
}

trap 'exit 0' TERM INT
while true; do
  send AccessLogGroup apache 20
  send SSHLogGroup sshd 10
  send VPCFlowLogGroup flow 10
  send CloudTrailLogGroup cloudtrail 2
  sleep 1 &
  wait $!
done
