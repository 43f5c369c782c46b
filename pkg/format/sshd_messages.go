package format

import "slices"

// class is what event.category, .type, .action and .outcome say of a message. An
// outcome is left out where a message alone does not tell.
type class struct{ category, kind, action, outcome string }

// The classes. Of the lines that one attempt to log in causes, only the one that
// sshd writes about the password itself has the action ssh_login: a PAM line, an
// "Invalid user" line or the end of the connection would count it twice. A PAM
// line tells no outcome, because another module may still let the user in; neither
// does a key that was refused, of which a client may offer several.
func login(outcome string) class        { return class{"authentication", "start", "ssh_login", outcome} }
func refusal(action string) class       { return class{"authentication", "info", action, "failure"} }
func attempt(action string) class       { return class{"authentication", "info", action, ""} }
func sshSession(kind, act string) class { return class{"session", kind, act, "success"} }
func connection(kind, act string) class { return class{"network", kind, act, ""} }

// members returns the class as members of event.
func (c class) members() string {
	m := `"kind":"event","category":["` + c.category + `"],"type":["` + c.kind + `"],"action":"` + c.action + `","dataset":"system.auth",`
	if c.outcome != "" {
		m += `"outcome":"` + c.outcome + `",`
	}
	return m
}

// sshdMessage is a row of the catalogue. The first template that fits is taken.
type sshdMessage struct {
	name      string // shipperd.template
	class     class
	templates []string
}

// The endings of templates that several messages share.
const (
	withPort    = "( port {port}|)"
	withUser    = "(authenticating |invalid |)user {user} {address} port {port}" // a bare user is logged in
	withVersion = "( port {port} ssh2| port {port} ssh1| port {port}|){tail}"
)

// sshdMessages returns the catalogue: the messages of OpenSSH 3 to 10 and of the
// PAM modules that speak for it. Before matching, the prefixes "error: " and
// "fatal: " and the suffix " [preauth]" are gone.
//
// OpenSSH cuts a user name at its first colon (the rest is the login style), so
// the first ": " behind one ends what sshd says of the user: {tail}.
func sshdMessages() []sshdMessage {
	return slices.Concat(authenticationMessages(), pamMessages(), connectionMessages(), protocolMessages())
}

func authenticationMessages() []sshdMessage {
	return []sshdMessage{
		{"accepted", login("success"), []string{`Accepted {method} for {user} from {address} port {port}( ssh2| ssh1|){tail}`}},
		{"failed_key_invalid_user", refusal("ssh_method_refused"), []string{
			`Failed (publickey|none) for (invalid|illegal) user {user} from {address}` + withVersion}},
		{"failed_key", attempt("ssh_method_refused"), []string{
			`Failed (publickey|none) for {user} from {address}` + withVersion}},
		{"failed_invalid_user", login("failure"), []string{
			`Failed {method} for (invalid|illegal) user {user} from {address}` + withVersion,
			`Failed {method} for <invalid username> from {address}` + withVersion}},
		{"failed", login("failure"), []string{
			`Failed {method} for {user} from {address}` + withVersion}},
		{"postponed", attempt("ssh_postponed"), []string{
			`(Postponed|Partial) {method} for (invalid user |){user} from {address} port {port}( ssh2| ssh1|){tail}`}},
		{"invalid_user", refusal("ssh_invalid_user"), []string{`(Invalid|Illegal) user {user} from {address}` + withPort}},
		{"invalid_user_preauth", attempt("ssh_preauth"), []string{`input_userauth_request: (invalid|illegal) user {user}`}},
		{"user_not_allowed", refusal("ssh_user_not_allowed"), []string{`User {user} from {address} not allowed because {rest}`}},
		{"user_not_allowed", attempt("ssh_user_not_allowed"), []string{`User {user} not allowed because {rest}`}},
		{"root_refused", refusal("ssh_root_refused"), []string{`ROOT LOGIN REFUSED FROM {address}` + withPort}},
		{"refused_connect", refusal("ssh_connection_refused"), []string{`refused connect from {text} \({address}\)`, `refused connect from {address}`}},
		{"max_attempts", refusal("ssh_max_attempts"), []string{
			`maximum authentication attempts exceeded for (invalid user |){user} from {address} port {port}( ssh2| ssh1|)`}},
		// OpenSSH 6.7 adds the address; that of older ones could be a user name's.
		{"too_many_failures", attempt("ssh_max_attempts"), []string{
			`Disconnecting: Too many authentication failures for (invalid user |){user} from {word} port {number} ssh2`,
			`Disconnecting: Too many authentication failures( for {user}|)`}},
		{"wrong_host_for_key", refusal("ssh_key_not_permitted"), []string{
			`Authentication tried for {user} with correct key but not from a permitted host \(host={word}, ip={address}\).`}},
	}
}

func pamMessages() []sshdMessage {
	return []sshdMessage{
		{"pam_error", refusal("ssh_pam"), []string{
			`PAM: Have exhausted maximum number of retries for service for (illegal user |invalid user |){user} from {address}`,
			`PAM: {until} for (illegal user |invalid user |){user} from {address}( via {word}|)`}},
		{"pam_account", refusal("ssh_pam"), []string{`Access denied for user {user} by PAM account configuration`}},
		{"pam_failure", attempt("ssh_pam"), []string{
			`pam_(unix|sss|ldap|winbind)\(sshd:auth\): authentication failure; {until} rhost={address}(  user={user}| user={user}|)`,
			// Its logname is what was typed. Where others have that, and so the address, nobody knows.
			`pam_krb5\(sshd:auth\): authentication failure; logname={user} uid={number} euid={number} tty={word} ruser= rhost={address}`,
			`pam_{until}\(sshd:auth\): authentication failure; {rest}`,
			`authentication failure; {until} rhost={address}(  user={user}| user={user}|)`,
			`PAM {number} more authentication failure(s|); {until} rhost={address}(  user={user}| user={user}|)`}},
		{"pam_unknown_user", attempt("ssh_pam"), []string{`pam_{until}\(sshd:auth\): check pass; user unknown`}},
		{"pam_max_retries", attempt("ssh_pam"), []string{`PAM service\(sshd\) ignoring max retries; {rest}`}},
		{"pam_other", attempt("ssh_pam"), []string{`PAM: {rest}`}},
		{"session_opened", sshSession("start", "ssh_session_opened"), []string{
			`pam_unix\(sshd:session\): session opened for user {user}\(uid={number}\) by {rest}`,
			`pam_unix\(sshd:session\): session opened for user {user} by {rest}`}},
		{"session_closed", sshSession("end", "ssh_session_closed"), []string{`pam_unix\(sshd:session\): session closed for user {user}`}},
		{"session_started", sshSession("info", "ssh_session_started"), []string{`Starting session: {until} for {user} from {address} port {port} id {number}`}},
		{"session_ended", sshSession("end", "ssh_session_ended"), []string{`Close session: user {user} from {address} port {port} id {number}`}},
	}
}

func connectionMessages() []sshdMessage {
	return []sshdMessage{
		{"closed", connection("end", "ssh_disconnect"), []string{
			`Connection (closed|reset) by ` + withUser,
			`Connection (closed|reset) by {address}` + withPort}},
		{"disconnected", connection("end", "ssh_disconnect"), []string{
			`Disconnected from ` + withUser,
			`Disconnected from {address}` + withPort}},
		{"disconnecting", connection("end", "ssh_disconnect"), []string{
			`Disconnecting ` + withUser + `{tail}`,
			`Disconnecting {address} port {port}: {rest}`, `Disconnecting: {rest}`}},
		{"received_disconnect", connection("end", "ssh_disconnect"), []string{
			`Received disconnect from {address} port {port}:{rest}`, `Received disconnect from {address}: {rest}`}},
		{"connection", connection("start", "ssh_connection"), []string{
			`Connection from {address} port {port} on {destination} port {destination port}( rdomain {rest}|)`,
			`Connection from {address}` + withPort}},
	}
}

func protocolMessages() []sshdMessage {
	return []sshdMessage{
		{"timeout", connection("end", "ssh_timeout"), []string{
			`Timeout before authentication for connection from {address} to {destination}, pid = {number}`,
			`Timeout before authentication for ` + withUser,
			`Timeout before authentication for {address}` + withPort}},
		{"no_identification", connection("info", "ssh_protocol_error"), []string{`Did not receive identification string from {address}` + withPort}},
		{"bad_banner", connection("info", "ssh_protocol_error"), []string{
			`banner exchange: Connection from {address} port {port}: {rest}`,
			`Bad protocol version identification {text} from {address}` + withPort,
			`Protocol major versions differ for {address}( port {port}|): {rest}`,
			`(scanned|probed) from {address}( port {port}|) with {rest}`}},
		{"kex_failed", connection("info", "ssh_protocol_error"), []string{
			`kex_exchange_identification: {rest}`, `kex_protocol_error: {rest}`, `no matching {rest}`}},
		{"no_common_algorithm", connection("info", "ssh_negotiation_failed"), []string{
			`Unable to negotiate with ` + withUser + `{tail}`,
			`Unable to negotiate with {address}( port {port}|): {rest}`, `Unable to negotiate {rest}`}},
		{"dispatch_failed", connection("info", "ssh_protocol_error"), []string{
			`ssh_dispatch_run_fatal: Connection from ` + withUser + `{tail}`,
			`ssh_dispatch_run_fatal: Connection from {address} port {port}: {rest}`}},
		{"connection_lost", connection("end", "ssh_disconnect"), []string{
			`Read error from remote host {address}( port {port}|): {rest}`, `(Read from socket|Write) failed: {rest}`,
			`Timeout, client not responding from ` + withUser, `Timeout, client not responding from {address} port {port}`,
			`Connection from ` + withUser + ` timed out`, `Connection from {address} port {port} timed out`,
			`(ssh_packet_|packet_|process_output: ){until}: Connection from ` + withUser + `: {rest}`,
			`(ssh_packet_|packet_|process_output: ){until}: Connection (from|to) {address} port {port}: {rest}`}},
		{"exploit_sign", connection("info", "ssh_protocol_error"), []string{
			`Corrupted MAC on input{rest}`, `bad client public DH value{rest}`, `Bad packet length {rest}`,
			`invalid certificate signing key{rest}`, `Local: crc32 compensation attack{rest}`}},
		{"dropped", connection("denied", "ssh_connection_dropped"), []string{
			`drop connection #{number} from [{address}]:{port} on [{destination}]:{destination port} {rest}`,
			`drop connection #{number} from [{address}]:{port} {rest}`}},
		{"reverse_mapping", connection("info", "ssh_reverse_mapping"), []string{
			`reverse mapping checking getaddrinfo for {word} [{address}] failed{rest}`,
			`Address {address} maps to {word}, but this does not map back to the address{rest}`}},
		{"listening", connection("info", "ssh_listening"), []string{`Server listening on {destination} port {destination port}.`}},
	}
}

// compiledMessage is one template of the catalogue.
type compiledMessage struct {
	template
	after []int // by how many parts are enough to refuse it: the next one to try
	name  string
	event string // members
}

// unknownMessage stands for what no template fits.
var unknownMessage = compiledMessage{event: `"kind":"event","dataset":"system.auth",`} //nolint:gochecknoglobals // a constant

// sshdCatalogue is the catalogue by the first byte of a message.
var sshdCatalogue = compileMessages(sshdMessages()) //nolint:gochecknoglobals // a compiled table

func compileMessages(messages []sshdMessage) (byFirst [256][]compiledMessage) {
	for _, m := range messages {
		for _, text := range m.templates {
			for _, one := range alternatives(text) {
				t := compile(one)
				first := t.parts[0].literal[0]
				byFirst[first] = append(byFirst[first], compiledMessage{template: t, name: m.name, event: m.class.members()})
			}
		}
	}
	for _, candidates := range byFirst {
		for i := range candidates {
			c := &candidates[i]
			for decided := range len(c.parts) + 2 {
				next := i + 1
				for next < len(candidates) && candidates[next-1].common(&candidates[next].template) >= decided {
					next++
				}
				c.after = append(c.after, next)
			}
		}
	}
	return byFirst
}
