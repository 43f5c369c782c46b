package main

// The dashboards beyond the lab's look at typed fields, whatever the log groups are called. Every title is a question that the
// panel answers. Places are tables by country: the maps of the two products cannot read each other's objects.

func dashboards() []*dashboard {
	return []*dashboard{overview(), web(), ssh(), account(), network()}
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

func overview() *dashboard {
	p := page("overview", "Overview: who attacks us?", "Everything at once; each line leads to a dashboard of its own.")
	all := scope{}
	failures := within(is("event.outcome", "failure"))
	p.numbers("How much happened, from how many addresses?", all,
		unique("source.ip", "Addresses"), unique("user.name", "Users"))
	p.bars("logs", "When did it happen, and in which logs?", all, top(10, "@log_group.keyword", "Log group"))
	p.bars("failures", "When did attempts fail?", failures, top(10, "event.dataset", "Kind"))
	p.table("addresses", "Which addresses fail most often?", failures, counted(), attackers()...)
	p.countries("From which countries do failures come?", failures)
	p.table("networks", "From which networks do failures come?", failures,
		counted(unique("source.ip", "Addresses")), top(10, "source.as.organization.name", "Network"))
	p.table("users", "Which users are attacked?", failures,
		counted(unique("source.ip", "Addresses")), top(10, "user.name", "User"))
	p.table("silence", "When was each log group heard last?", all,
		ranked(latest(timeField, "Last event")), top(20, "@log_group.keyword", "Log group"))
	p.table("reduced", "Which events did the index refuse as they came?", all.and("shipperd.rejected.type: *"),
		counted(), top(10, "@log_group.keyword", "Log group"), top(5, "shipperd.rejected.type", "Reason"))
	return p
}

func web() *dashboard {
	p := page("web", "Web attacks: who is at our web servers?", "Apache access logs.")
	requests := within(dataset("apache.access"))
	refused := requests.and("http.response.status_code >= 400")
	p.numbers("How many requests came, from how many addresses, for how many pages?", requests,
		unique("source.ip", "Addresses"), unique("url.path", "Pages"))
	p.bars("status", "When did the answers change?", requests, top(10, "http.response.status_code", "Status"))
	p.table("refused", "Which addresses are refused most often?", refused,
		counted(unique("url.path", "Pages")), attackers()...)
	p.table("browsing", "Who looks for pages that are not there?", requests.and("http.response.status_code: 404"),
		ranked(unique("url.path", "Pages")), top(10, "source.ip", "Address"))
	p.table("passwords", "Who tries passwords, and where?", requests.and("http.response.status_code: (401 or 403)"),
		counted(), top(10, "source.ip", "Address"), top(3, "url.path", "Page"))
	p.table("scanners", "Which scanners say their name?", requests.and(
		"user_agent.original: (*sqlmap* or *Nikto* or *gobuster* or *WPScan* or *zgrab* or *Nmap* or *masscan* or *feroxbuster* or *nuclei* or *dirbuster*)"),
		counted(), top(10, "user_agent.original", "User agent"), top(3, "source.ip", "Address"))
	p.table("injection", "Who tries to break in through a request?", requests.and(
		"url.original: (*../* or *%2e%2e* or *%2E%2E* or *union*select* or *UNION*SELECT* or *%3Cscript* or *jndi* or *etc/passwd* or *cmd.exe* or *base64_decode*)"),
		counted(), top(10, "source.ip", "Address"), top(3, "url.path", "Page"))
	p.countries("From which countries do refused requests come?", refused)
	p.search("requests", "Which requests were refused?", refused,
		"source.ip", "http.request.method", "url.original", "http.response.status_code", "user_agent.original")
	return p
}

func ssh() *dashboard {
	p := page("ssh", "SSH attacks: who tries to log in?", "What sshd says; each attempt is counted once, as the action ssh_login.")
	lines := within(dataset("system.auth"))
	logins := within(dataset("system.auth"), is("event.action", "ssh_login"))
	failed := within(dataset("system.auth"), is("event.action", "ssh_login"), is("event.outcome", "failure"))
	succeeded := within(dataset("system.auth"), is("event.action", "ssh_login"), is("event.outcome", "success"))
	p.numbers("How many logins failed, from how many addresses, with how many names?", failed,
		unique("source.ip", "Addresses"), unique("user.name", "Names"))
	p.bars("times", "When do they try, and when do they get in?", logins, top(2, "event.outcome", "Outcome"))
	p.table("addresses", "Which addresses try most often?", failed, counted(), attackers()...)
	p.table("success", "Who got in?", succeeded, counted(), top(10, "source.ip", "Address"), top(5, "user.name", "User"))
	p.table("names", "Which names do they try?", failed,
		counted(unique("source.ip", "Addresses")), top(20, "user.name", "Name"))
	p.table("spraying", "Who tries many names?", failed,
		ranked(unique("user.name", "Names")), top(10, "source.ip", "Address"))
	p.table("hosts", "Which servers are attacked?", failed,
		counted(unique("source.ip", "Addresses")), top(10, "observer.hostname", "Server"))
	p.table("scans", "Who scans without trying a password?",
		lines.and("event.action: (ssh_protocol_error or ssh_negotiation_failed or ssh_timeout)"),
		counted(), top(10, "source.ip", "Address"), top(3, "event.action", "What"))
	p.countries("From which countries do failed logins come?", failed)
	p.search("lines", "What does sshd say?", lines,
		"source.ip", "user.name", "event.action", "event.outcome", "@message")
	return p
}

func account() *dashboard {
	p := page("aws", "AWS account under attack: who uses our account?", "CloudTrail, attempts that failed included.")
	calls := within(dataset("aws.cloudtrail"))
	refused := within(dataset("aws.cloudtrail"), is("event.outcome", "failure"))
	who := top(5, "userIdentity.arn.keyword", "Identity")
	what := func(name, question, names string) {
		p.table(name, question, calls.and("eventName.keyword: ("+names+")"), counted(),
			top(10, "eventName.keyword", "Call"), who, top(2, "event.outcome", "Outcome"))
	}
	p.numbers("How many calls came, by how many identities, from how many addresses?", calls,
		unique("userIdentity.arn.keyword", "Identities"), unique("source.ip", "Addresses"))
	p.bars("errors", "When are calls refused, and why?", refused, top(10, "errorCode.keyword", "Error"))
	p.table("refused", "Who is refused most often?", refused,
		counted(unique("eventName.keyword", "Calls")), top(10, "userIdentity.arn.keyword", "Identity"), top(3, "source.ip", "Address"))
	p.table("console", "Who signs in to the console, and with a second factor?", calls.and("eventName.keyword: ConsoleLogin"),
		counted(), top(10, "userIdentity.arn.keyword", "Identity"), top(2, "aws.cloudtrail.console_login.result", "Result"),
		top(2, "aws.cloudtrail.console_login.mfa_used", "Second factor"))
	what("logging", "Who tampers with logging?",
		"StopLogging or DeleteTrail or UpdateTrail or PutEventSelectors or DeleteFlowLogs or DeleteLogGroup or DeleteDetector or StopConfigurationRecorder")
	what("persistence", "Who makes keys, users and policies?",
		"CreateAccessKey or CreateUser or CreateLoginProfile or UpdateLoginProfile or AttachUserPolicy or AttachRolePolicy or PutUserPolicy or UpdateAssumeRolePolicy")
	what("secrets", "Who reads secrets?", "GetSecretValue or BatchGetSecretValue or GetParameters or GetParameter or GetPasswordData")
	p.table("ssm", "Who commands servers through Systems Manager?",
		within(dataset("aws.cloudtrail"), is("eventSource.keyword", "ssm.amazonaws.com")), counted(), top(10, "eventName.keyword", "Call"), who)
	p.table("root", "What does the root user do?", within(dataset("aws.cloudtrail"), is("userIdentity.type.keyword", "Root")),
		counted(), top(10, "eventName.keyword", "Call"), top(3, "source.ip", "Address"))
	p.table("addresses", "From where do they call?", calls, counted(), attackers()...)
	p.search("calls", "Which calls were refused?", refused,
		"eventSource", "eventName", "awsRegion", "userIdentity.arn", "sourceIPAddress", "errorCode")
	return p
}

func network() *dashboard {
	p := page("network", "Network: who knocks, and what leaves?", "VPC flow logs.")
	flows := within(dataset("aws.vpcflow"))
	rejected := within(dataset("aws.vpcflow"), is("event.action", "reject"))
	accepted := within(dataset("aws.vpcflow"), is("event.action", "accept"))
	p.numbers("How much traffic was there, from how many addresses?", flows,
		sum("network.bytes", "Bytes"), unique("source.ip", "Addresses"))
	p.bars("actions", "When is traffic accepted and when rejected?", flows, top(2, "event.action", "Action"))
	p.table("rejected", "Which addresses are rejected most often?", rejected, counted(), attackers()...)
	p.table("ports", "Which ports do they knock on?", rejected,
		counted(unique("source.ip", "Addresses")), top(20, "destination.port", "Port"))
	p.table("scans", "Who knocks on many ports and addresses?", rejected,
		ranked(unique("destination.port", "Ports"), unique("destination.ip", "Targets")), top(10, "source.ip", "Address"))
	p.table("shells", "Who reaches SSH and remote desktops from outside?",
		accepted.and("destination.port: (22 or 3389) and source.scope: public"), counted(),
		top(10, "source.ip", "Address"), top(3, "destination.ip", "Target"), top(2, "destination.port", "Port"))
	p.table("outbound", "Which outside addresses take most data?",
		accepted.and("source.scope: private and destination.scope: public"), ranked(sum("network.bytes", "Bytes")),
		top(10, "destination.ip", "Address"), top(3, "source.ip", "From"))
	p.countries("From which countries is traffic rejected?", rejected)
	p.search("flows", "Which packets were rejected, newest first?", rejected,
		"source.ip", "source.port", "destination.ip", "destination.port", "network.transport", "network.bytes")
	return p
}
