package admin

import (
	"net"
	"sync"
)

// maxConnections bounds what clients can make the endpoint hold: 1,000 idle ones
// and half as many beside, 16 KiB each = 24 MB. When they are used up, new ones
// wait until ReadHeaderTimeout or IdleTimeout ends an old one.
const maxConnections = 1500

// limitedListener accepts while fewer than cap(open) of its connections are open.
type limitedListener struct {
	net.Listener

	open   chan struct{}
	once   sync.Once
	closed chan struct{}
}

func newLimitedListener(l net.Listener, limit int) *limitedListener {
	return &limitedListener{Listener: l, open: make(chan struct{}, limit), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.open })}, nil
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn

	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
