package demo

import "fmt"

// traffic is a record of the VPC's flow log.
type traffic struct {
	source, destination         string
	sourcePort, destinationPort int
	protocol                    int // 6 TCP, 17 UDP
	packets                     int
	rejected                    bool
}

// flow writes t in the default format, version 2.
func (s *Site) flow(at server, t traffic) Event {
	action := "ACCEPT"
	if t.rejected {
		action = "REJECT"
	}
	end := s.now.Unix()
	message := fmt.Sprintf("2 %s %s %s %s %d %d %d %d %d %d %d %s OK", Account, at.network, t.source, t.destination,
		t.sourcePort, t.destinationPort, t.protocol, t.packets, t.packets*(40+s.random.IntN(1200)), end-60, end, action)
	if s.chance(1, 200) { // a minute in which nothing came
		message = fmt.Sprintf("2 %s %s - - - - - - - %d %d - NODATA", Account, at.network, end-60, end)
	}
	return Event{Group: VPCFlowLogGroup, Stream: at.network + "-all", Message: message}
}

// usualFlow is a visit, or what the server itself asks for.
func (s *Site) usualFlow(at server) traffic {
	t := traffic{
		source: s.visitor(), sourcePort: s.highPort(), destination: at.address, destinationPort: 443,
		protocol: 6, packets: 5 + s.random.IntN(60),
	}
	switch s.random.IntN(6) {
	case 0:
		t.source, t.destinationPort = administrator, 22
	case 1:
		t.source, t.destination, t.destinationPort, t.protocol, t.packets = at.address, "192.0.2.2", 53, 17, 1
	}
	return t
}

// attackFlow is the attack of the phase as the network sees it.
func (s *Site) attackFlow(now phase, at server) traffic {
	t := traffic{
		source: guesser, sourcePort: s.highPort(), destination: at.address, destinationPort: 443,
		protocol: 6, packets: 10 + s.random.IntN(20),
	}
	switch now {
	case scan:
		t.source, t.packets, t.rejected = scanner, 1, true
		t.destinationPort = pick(s, []int{21, 23, 25, 445, 1433, 3306, 3389, 5432, 6379, 8080, 9200, 27017})
	case breakIn:
		t.source, t.destinationPort = s.bot(), 22
	default: // the one who guesses is a client like any other
	}
	return t
}
