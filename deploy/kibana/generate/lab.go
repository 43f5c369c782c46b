package main

// The lab's objects look at its log groups by name and at the fields of its subscription patterns, so that they draw the same
// from the Lambda's documents. They keep the lab's names; on the dashboard each has its question as title.

func group(name string) filter { return is("@log_group.keyword", name) }

func within(filters ...filter) scope { return scope{filters: filters} }

func asked(query string) scope { return scope{query: query} }

// lab is the dashboard of the lab, seven panels.
func lab() *dashboard {
	flows := within(group("VPCFlowLogGroup"))
	return &dashboard{
		id: "shipperd-lab", title: "Lab: Advanced_Dashboard", refreshSeconds: 30,
		description: "The analysis lab's dashboard on its four log groups.",
		panels: []panel{
			{question: "How do the web servers answer?", view: gauge("shipperd-lab-response-codes", "HTTP Response Codes",
				within(group("AccessLogGroup")), top(5, "status", "Status"))},
			{question: "Who sends traffic now?", view: series("shipperd-lab-traffic", "Traffic in real-time", "srcaddr.keyword")},
			{question: "Whose packets are accepted and whose rejected?", view: table("shipperd-lab-flow-logs", "Flow Logs Data", flows,
				counted(), top(10, "srcaddr.keyword", "Source"), top(5, "action.keyword", "Action"))},
			{question: "Which AWS services are in use, and where?", view: pie("shipperd-lab-services", "AWS Services By Use", scope{},
				top(10, "eventSource.keyword", "Service"), top(5, "awsRegion.keyword", "Region"))},
			{question: "Which addresses attack SSH?", view: table("shipperd-lab-ssh", "SSH Attacks",
				within(group("SSHLogGroup"), is("msg1.keyword", "Connection")), counted(), top(4, "srcIp.keyword", "Source"))},
			{question: "Which access keys are used most?", view: table("shipperd-lab-keys", "Top 10 Access Keys", scope{},
				counted(), top(10, "userIdentity.accessKeyId.keyword", "Access key"))},
			{question: "Which packets were rejected?", view: search{
				id: "shipperd-lab-rejects", title: "VPCFlowLogs_REJECTS_Traffic", scope: within(group("VPCFlowLogGroup"), is("action.keyword", "REJECT")),
				columns: []string{"srcaddr", "srcport", "dstaddr", "dstport", "action", "protocol"},
			}},
		},
	}
}

// labExtras are the lab's objects that no dashboard shows: its three analyses, its searches and its tables.
func labExtras() []view {
	flows := within(group("VPCFlowLogGroup"))
	lines := []string{"@log_group", "@message"}
	return []view{
		search{
			id: "shipperd-lab-brute-force", title: "Brute force: which requests were not answered with 200?",
			scope:   within(group("AccessLogGroup"), isNot("status", 200)),
			columns: []string{"host", "status", "request", "agent"},
		},
		search{
			id: "shipperd-lab-ssh-attacks", title: "SSH attacks: which connections came in?",
			scope:   within(group("SSHLogGroup"), is("msg1.keyword", "Connection")),
			columns: []string{"srcIp", "destIp", "destPort"},
		},
		search{
			id: "shipperd-lab-aws-attacks", title: "AWS services under attack: who commands servers from a shell?",
			scope:   within(group("CloudTrailLogGroup"), is("userAgent", "aws-cli"), is("eventSource.keyword", "ssm.amazonaws.com")),
			columns: []string{"eventSource", "eventName", "requestParameters", "awsRegion", "recipientAccountId"},
		},
		search{id: "shipperd-lab-accept", title: "action:accept", scope: asked("action:accept"), columns: lines},
		search{id: "shipperd-lab-reject", title: "action:reject", scope: asked("action:reject"), columns: lines},
		search{id: "shipperd-lab-status-200", title: "status:200", scope: asked("status:200"), columns: lines},
		search{id: "shipperd-lab-status-404", title: "status:404", scope: asked("status:404"), columns: lines},
		search{id: "shipperd-lab-everything", title: "All log events", columns: lines},
		table("shipperd-lab-accounts", "Top Account Ids", scope{}, counted(), top(10, "account_id", "Account")),
		table("shipperd-lab-regions", "Top Regions", scope{}, counted(), top(10, "awsRegion.keyword", "Region")),
		table("shipperd-lab-services-by-region", "Service Use By Region", within(group("CloudTrailLogGroup")), counted(),
			top(10, "eventSource.keyword", "Service"), top(5, "awsRegion.keyword", "Region")),
		table("shipperd-lab-packets", "Total Packets", flows, []measure{sum("packets", "Packets")}, top(10, "srcaddr.keyword", "Source")),
		table("shipperd-lab-rejected-packets", "Reject Packets", within(group("VPCFlowLogGroup"), is("action.keyword", "REJECT")),
			[]measure{sum("packets", "Packets")}, top(10, "srcaddr.keyword", "Source")),
		bars("shipperd-lab-packets-by-action", "Packets - Accept/Reject", flows, sum("packets", "Packets"), "30s",
			top(5, "action.keyword", "Action")),
	}
}
