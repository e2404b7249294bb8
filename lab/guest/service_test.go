package guest

import (
	"fmt"
	"strconv"
	"strings"
)

// serviceConns adds up the connections of the real servers of a service in
// /proc/net/ip_vs, where a service's line ends in its port, in hexadecimal:
//
//	TCP  C0000250:0050 rr
//	  -> 0A000216:0050      Masq    1      0          0
func serviceConns(text, port string) (active, inactive int, err error) {
	within, found := false, false
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "TCP" || fields[0] == "UDP":
			within = strings.HasSuffix(fields[1], ":"+port)
			found = found || within
		case within && fields[0] == "->" && len(fields) == 6:
			a, errA := strconv.Atoi(fields[4])
			i, errI := strconv.Atoi(fields[5])
			if errA != nil || errI != nil {
				return 0, 0, fmt.Errorf("not numbers: %q", line)
			}
			active, inactive = active+a, inactive+i
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("no service of port %s in:\n%s", port, text)
	}
	return active, inactive, nil
}
