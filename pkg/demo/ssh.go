package demo

import "fmt"

// sshd writes message as the SSH daemon of at does to /var/log/secure.
func (s *Site) sshd(at server, message string) Event {
	return Event{
		Group:  SSHLogGroup,
		Stream: at.instance + "-secure",
		Message: fmt.Sprintf("%s %s sshd[%d]: %s", s.now.Format("Jan _2 15:04:05"), at.name,
			1000+s.random.IntN(30000), message),
	}
}

// login is a line of the administrator's own sessions.
func (s *Site) login() string {
	port := s.highPort()
	return pick(s, []string{
		fmt.Sprintf("Accepted publickey for ec2-user from %s port %d ssh2: ED25519 SHA256:uNiVztksCsDhcc0u9e8BgrJXVGLh2tY1VBUMGc1YZLU", administrator, port),
		"pam_unix(sshd:session): session opened for user ec2-user(uid=1000) by (uid=0)",
		fmt.Sprintf("Received disconnect from %s port %d:11: disconnected by user", administrator, port),
		fmt.Sprintf("Disconnected from user ec2-user %s port %d", administrator, port),
		"pam_unix(sshd:session): session closed for user ec2-user",
	})
}

// attackOnSSH is a line that the botnet causes. Most are of the one kind in which
// the lab's filter pattern finds the address.
func (s *Site) attackOnSSH() string {
	bot, port := s.bot(), s.highPort()
	user := pick(s, []string{"admin", "test", "oracle", "postgres", "ubuntu", "git", "pi"})
	switch s.random.IntN(10) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("Connection closed by %s port %d [preauth]", bot, port)
	case 4:
		return fmt.Sprintf("Connection reset by %s port %d [preauth]", bot, port)
	case 5:
		return fmt.Sprintf("Invalid user %s from %s port %d", user, bot, port)
	case 6:
		return fmt.Sprintf("Failed password for root from %s port %d ssh2", bot, port)
	case 7:
		return fmt.Sprintf("Failed password for invalid user %s from %s port %d ssh2", user, bot, port)
	case 8:
		return fmt.Sprintf("Connection closed by authenticating user root %s port %d [preauth]", bot, port)
	default: // a user name that wants to be taken for an address
		return fmt.Sprintf("Invalid user x from 192.0.2.1 port 22 from %s port %d", bot, port)
	}
}
