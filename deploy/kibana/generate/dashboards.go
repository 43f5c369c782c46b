package main

// The dashboards beyond the lab's look at typed fields, whatever the log groups are called. Every title is a question that the
// panel answers. Places are tables by country: the maps of the two products cannot read each other's objects.

func dashboards() []dashboard {
	return []dashboard{overview(), web(), ssh(), account(), network()}
}

func dataset(name string) filter { return is("event.dataset", name) }

// and narrows a scope by a query.
func (s scope) and(query string) scope {
	s.query = query
	return s
}

// Who is behind an address, beside its countings.
func attackers() []bucket {
	return []bucket{
		top(10, "source.ip", "Address"), top(1, "source.as.organization.name", "Network"), top(1, "source.geo.country_iso_code", "Country"),
	}
}

func countries(id, title string, s scope) visualization {
	return table(id, title, s, []measure{count(), unique("source.ip", "Addresses")}, top(20, "source.geo.country_iso_code", "Country"))
}

func overview() dashboard {
	all := scope{}
	failures := within(is("event.outcome", "failure"))
	return dashboard{
		id: "shipperd-overview", title: "Overview: who attacks us?",
		description: "Everything at once; each line leads to a dashboard of its own.",
		panels: []panel{
			{view: numbers("shipperd-overview-size", "How much happened, from how many addresses?", all,
				count(), unique("source.ip", "Addresses"), unique("user.name", "Users"))},
			{view: bars("shipperd-overview-logs", "When did it happen, and in which logs?", all, count(), "", top(10, "@log_group.keyword", "Log group"))},
			{view: bars("shipperd-overview-failures", "When did attempts fail?", failures, count(), "", top(10, "event.dataset", "Kind"))},
			{view: table("shipperd-overview-addresses", "Which addresses fail most often?", failures, []measure{count()}, attackers()...)},
			{view: countries("shipperd-overview-countries", "From which countries do failures come?", failures)},
			{view: table("shipperd-overview-networks", "From which networks do failures come?", failures,
				[]measure{count(), unique("source.ip", "Addresses")}, top(10, "source.as.organization.name", "Network"))},
			{view: table("shipperd-overview-users", "Which users are attacked?", failures,
				[]measure{count(), unique("source.ip", "Addresses")}, top(10, "user.name", "User"))},
			{view: table("shipperd-overview-silence", "When was each log group heard last?", all,
				[]measure{{"max", timeField, "Last event"}, count()}, top(20, "@log_group.keyword", "Log group"))},
			{wide: true, view: table("shipperd-overview-reduced", "Which events did the index refuse as they came?", all.and("shipperd.rejected.type: *"),
				[]measure{count()}, top(10, "@log_group.keyword", "Log group"), top(5, "shipperd.rejected.type", "Reason"))},
		},
	}
}

func web() dashboard {
	requests := within(dataset("apache.access"))
	refused := requests.and("http.response.status_code >= 400")
	return dashboard{
		id: "shipperd-web", title: "Web attacks: who is at our web servers?",
		description: "Apache access logs.",
		panels: []panel{
			{view: numbers("shipperd-web-size", "How many requests came, from how many addresses, for how many pages?", requests,
				count(), unique("source.ip", "Addresses"), unique("url.path", "Pages"))},
			{view: bars("shipperd-web-status", "When did the answers change?", requests, count(), "", top(10, "http.response.status_code", "Status"))},
			{view: table("shipperd-web-refused", "Which addresses are refused most often?", refused,
				[]measure{count(), unique("url.path", "Pages")}, attackers()...)},
			{view: table("shipperd-web-browsing", "Who looks for pages that are not there?", requests.and("http.response.status_code: 404"),
				[]measure{unique("url.path", "Pages"), count()}, top(10, "source.ip", "Address"))},
			{view: table("shipperd-web-passwords", "Who tries passwords, and where?", requests.and("http.response.status_code: (401 or 403)"),
				[]measure{count()}, top(10, "source.ip", "Address"), top(3, "url.path", "Page"))},
			{view: table("shipperd-web-scanners", "Which scanners say their name?", requests.and(
				"user_agent.original: (*sqlmap* or *Nikto* or *gobuster* or *WPScan* or *zgrab* or *Nmap* or *masscan* or *feroxbuster* or *nuclei* or *dirbuster*)"),
				[]measure{count()}, top(10, "user_agent.original", "User agent"), top(3, "source.ip", "Address"))},
			{view: table("shipperd-web-injection", "Who tries to break in through a request?", requests.and(
				"url.original: (*../* or *%2e%2e* or *%2E%2E* or *union*select* or *UNION*SELECT* or *%3Cscript* or *jndi* or *etc/passwd* or *cmd.exe* or *base64_decode*)"),
				[]measure{count()}, top(10, "source.ip", "Address"), top(3, "url.path", "Page"))},
			{view: countries("shipperd-web-countries", "From which countries do refused requests come?", refused)},
			{wide: true, view: search{
				id: "shipperd-web-requests", title: "Which requests were refused?", scope: refused,
				columns: []string{"source.ip", "http.request.method", "url.original", "http.response.status_code", "user_agent.original"},
			}},
		},
	}
}

func ssh() dashboard {
	lines := within(dataset("system.auth"))
	logins := within(dataset("system.auth"), is("event.action", "ssh_login"))
	failed := within(dataset("system.auth"), is("event.action", "ssh_login"), is("event.outcome", "failure"))
	succeeded := within(dataset("system.auth"), is("event.action", "ssh_login"), is("event.outcome", "success"))
	return dashboard{
		id: "shipperd-ssh", title: "SSH attacks: who tries to log in?",
		description: "What sshd says; each attempt is counted once, as the action ssh_login.",
		panels: []panel{
			{view: numbers("shipperd-ssh-size", "How many logins failed, from how many addresses, with how many names?", failed,
				count(), unique("source.ip", "Addresses"), unique("user.name", "Names"))},
			{view: bars("shipperd-ssh-times", "When do they try, and when do they get in?", logins, count(), "", top(2, "event.outcome", "Outcome"))},
			{view: table("shipperd-ssh-addresses", "Which addresses try most often?", failed, []measure{count()}, attackers()...)},
			{view: table("shipperd-ssh-success", "Who got in?", succeeded, []measure{count()}, top(10, "source.ip", "Address"), top(5, "user.name", "User"))},
			{view: table("shipperd-ssh-names", "Which names do they try?", failed,
				[]measure{count(), unique("source.ip", "Addresses")}, top(20, "user.name", "Name"))},
			{view: table("shipperd-ssh-spraying", "Who tries many names?", failed,
				[]measure{unique("user.name", "Names"), count()}, top(10, "source.ip", "Address"))},
			{view: table("shipperd-ssh-hosts", "Which servers are attacked?", failed,
				[]measure{count(), unique("source.ip", "Addresses")}, top(10, "observer.hostname", "Server"))},
			{view: table("shipperd-ssh-scans", "Who scans without trying a password?",
				lines.and("event.action: (ssh_protocol_error or ssh_negotiation_failed or ssh_timeout)"),
				[]measure{count()}, top(10, "source.ip", "Address"), top(3, "event.action", "What"))},
			{view: countries("shipperd-ssh-countries", "From which countries do failed logins come?", failed)},
			{wide: true, view: search{
				id: "shipperd-ssh-lines", title: "What does sshd say?", scope: lines,
				columns: []string{"source.ip", "user.name", "event.action", "event.outcome", "@message"},
			}},
		},
	}
}

func account() dashboard {
	calls := within(dataset("aws.cloudtrail"))
	refused := within(dataset("aws.cloudtrail"), is("event.outcome", "failure"))
	who := top(5, "userIdentity.arn.keyword", "Identity")
	what := func(id, title, names string) panel {
		return panel{view: table(id, title, calls.and("eventName.keyword: ("+names+")"), []measure{count()},
			top(10, "eventName.keyword", "Call"), who, top(2, "event.outcome", "Outcome"))}
	}
	return dashboard{
		id: "shipperd-aws", title: "AWS account under attack: who uses our account?",
		description: "CloudTrail, attempts that failed included.",
		panels: []panel{
			{view: numbers("shipperd-aws-size", "How many calls came, by how many identities, from how many addresses?", calls,
				count(), unique("userIdentity.arn.keyword", "Identities"), unique("source.ip", "Addresses"))},
			{view: bars("shipperd-aws-errors", "When are calls refused, and why?", refused, count(), "", top(10, "errorCode.keyword", "Error"))},
			{view: table("shipperd-aws-refused", "Who is refused most often?", refused,
				[]measure{count(), unique("eventName.keyword", "Calls")}, top(10, "userIdentity.arn.keyword", "Identity"), top(3, "source.ip", "Address"))},
			{view: table("shipperd-aws-console", "Who signs in to the console, and with a second factor?", calls.and("eventName.keyword: ConsoleLogin"),
				[]measure{count()}, top(10, "userIdentity.arn.keyword", "Identity"), top(2, "aws.cloudtrail.console_login.result", "Result"),
				top(2, "aws.cloudtrail.console_login.mfa_used", "Second factor"))},
			what("shipperd-aws-logging", "Who tampers with logging?",
				"StopLogging or DeleteTrail or UpdateTrail or PutEventSelectors or DeleteFlowLogs or DeleteLogGroup or DeleteDetector or StopConfigurationRecorder"),
			what("shipperd-aws-persistence", "Who makes keys, users and policies?",
				"CreateAccessKey or CreateUser or CreateLoginProfile or UpdateLoginProfile or AttachUserPolicy or AttachRolePolicy or PutUserPolicy or UpdateAssumeRolePolicy"),
			what("shipperd-aws-secrets", "Who reads secrets?", "GetSecretValue or BatchGetSecretValue or GetParameters or GetParameter or GetPasswordData"),
			{view: table("shipperd-aws-ssm", "Who commands servers through Systems Manager?",
				within(dataset("aws.cloudtrail"), is("eventSource.keyword", "ssm.amazonaws.com")), []measure{count()}, top(10, "eventName.keyword", "Call"), who)},
			{view: table("shipperd-aws-root", "What does the root user do?", within(dataset("aws.cloudtrail"), is("userIdentity.type.keyword", "Root")),
				[]measure{count()}, top(10, "eventName.keyword", "Call"), top(3, "source.ip", "Address"))},
			{view: table("shipperd-aws-addresses", "From where do they call?", calls, []measure{count()}, attackers()...)},
			{wide: true, view: search{
				id: "shipperd-aws-calls", title: "Which calls were refused?", scope: refused,
				columns: []string{"eventSource", "eventName", "awsRegion", "userIdentity.arn", "sourceIPAddress", "errorCode"},
			}},
		},
	}
}

func network() dashboard {
	flows := within(dataset("aws.vpcflow"))
	rejected := within(dataset("aws.vpcflow"), is("event.action", "reject"))
	accepted := within(dataset("aws.vpcflow"), is("event.action", "accept"))
	return dashboard{
		id: "shipperd-network", title: "Network: who knocks, and what leaves?",
		description: "VPC flow logs.",
		panels: []panel{
			{view: numbers("shipperd-network-size", "How much traffic was there, from how many addresses?", flows,
				count(), sum("network.bytes", "Bytes"), unique("source.ip", "Addresses"))},
			{view: bars("shipperd-network-actions", "When is traffic accepted and when rejected?", flows, count(), "", top(2, "event.action", "Action"))},
			{view: table("shipperd-network-rejected", "Which addresses are rejected most often?", rejected, []measure{count()}, attackers()...)},
			{view: table("shipperd-network-ports", "Which ports do they knock on?", rejected,
				[]measure{count(), unique("source.ip", "Addresses")}, top(20, "destination.port", "Port"))},
			{view: table("shipperd-network-scans", "Who knocks on many ports and addresses?", rejected,
				[]measure{unique("destination.port", "Ports"), unique("destination.ip", "Targets"), count()}, top(10, "source.ip", "Address"))},
			{view: table("shipperd-network-shells", "Who reaches SSH and remote desktops from outside?",
				accepted.and("destination.port: (22 or 3389) and source.scope: public"), []measure{count()},
				top(10, "source.ip", "Address"), top(3, "destination.ip", "Target"), top(2, "destination.port", "Port"))},
			{view: table("shipperd-network-outbound", "Which outside addresses take most data?",
				accepted.and("source.scope: private and destination.scope: public"), []measure{sum("network.bytes", "Bytes"), count()},
				top(10, "destination.ip", "Address"), top(3, "source.ip", "From"))},
			{view: countries("shipperd-network-countries", "From which countries is traffic rejected?", rejected)},
			{wide: true, view: search{
				id: "shipperd-network-flows", title: "Which packets were rejected, newest first?", scope: rejected,
				columns: []string{"source.ip", "source.port", "destination.ip", "destination.port", "network.transport", "network.bytes"},
			}},
		},
	}
}
