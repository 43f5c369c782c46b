package demo

import "fmt"

// request is a line of the access log.
type request struct {
	host, user, line string
	status, bytes    int
	referrer, agent  string
}

// access writes r in Apache's combined format.
func (s *Site) access(at server, r request) Event {
	bytes := "-"
	if r.bytes > 0 {
		bytes = fmt.Sprint(r.bytes)
	}
	return Event{
		Group:  AccessLogGroup,
		Stream: at.instance,
		Message: fmt.Sprintf(`%s - %s [%s] "%s HTTP/1.1" %d %s "%s" "%s"`, r.host, r.user,
			s.now.Format("02/Jan/2006:15:04:05 -0700"), r.line, r.status, bytes, r.referrer, r.agent),
	}
}

// visit is a request of somebody who shops.
func (s *Site) visit() request {
	r := request{
		host: s.visitor(),
		user: "-",
		line: "GET " + pick(s, []string{
			"/", "/products", "/products/42", "/products/17?colour=blue", "/cart", "/css/shop.css",
			"/images/logo.png", "/search?q=red+shoes", "/about", "/favicon.ico",
		}),
		status:   200,
		bytes:    200 + s.random.IntN(20000),
		referrer: pick(s, []string{"-", "https://shop.example.com/", "https://www.example.com/search?q=shoes"}),
		agent: pick(s, []string{
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
			"Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
		}),
	}
	switch s.random.IntN(20) {
	case 0:
		r.line, r.status, r.bytes = "GET /old-page", 404, 196
	case 1, 2:
		r.status, r.bytes = 304, 0
	case 3:
		r.line, r.status = "POST /login", 302
	}
	return r
}

// attackOnWeb is a request of the scanner or of the one who guesses passwords.
func (s *Site) attackOnWeb(now phase) request {
	if now == guess {
		r := request{
			host: guesser, user: "-", line: "POST /login", status: 401, bytes: 381,
			referrer: "https://shop.example.com/login", agent: "python-requests/2.31.0",
		}
		if s.chance(1, 100) { // guessed
			r.status, r.bytes = 302, 0
		}
		return r
	}
	r := request{
		host: scanner, user: "-", line: "GET " + pick(s, []string{
			"/wp-login.php", "/phpmyadmin/index.php", "/.env", "/.git/config", "/admin/", "/backup.sql",
			"/cgi-bin/test.cgi", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/server-status",
			"/../../../../etc/passwd", "/products?id=1%27%20OR%20%271%27=%271",
		}),
		status: 404, bytes: 196, referrer: "-", agent: "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:Port Check)",
	}
	switch s.random.IntN(10) {
	case 0:
		r.status, r.bytes = 403, 199
	case 1: // what a request line can hold is up to who sends it
		r.line, r.status, r.bytes = `\x16\x03\x01\"%00`, 400, 226
	}
	return r
}
