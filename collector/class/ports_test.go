package class_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logsource/operator/collector/class"
)

func TestListeners(t *testing.T) {
	tcp := class.Port{Name: "tcp", Protocol: "TCP", Option: "tcpPort", Service: 601}
	udp := class.Port{Name: "udp", Protocol: "UDP", Option: "udpPort", Service: 514}
	k := &class.Class{Footprint: class.Footprint{Ports: []class.Port{tcp, udp}}}
	f := func(options string, want ...class.Listener) {
		t.Helper()
		if diff := cmp.Diff(want, k.Listeners(json.RawMessage(options))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", options, diff)
		}
	}
	f(``)
	f(`{}`)
	f(`[]`)
	f(`{"tcpPort":0,"udpPort":-1}`)
	f(`{"tcpPort":"6514","udpPort":1.5}`)
	f(`{"tcpPort":null,"udpPort":5514}`, class.Listener{Port: udp, Number: 5514})
	f(`{"udpPort":5514,"tcpPort":70000}`, class.Listener{Port: tcp, Number: 70000}, class.Listener{Port: udp, Number: 5514})
}
