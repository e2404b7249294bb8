package config

import (
	"net/netip"
	"path/filepath"
	"strings"
)

const (
	metricsExample = "127.0.0.1:9581"
	unixPrefix     = "unix:"
)

// metrics judges where metrics are served: on this host alone, unless somebody
// says that they mean more.
func (p *problems) metrics(doc document) Metrics {
	public := p.truth("metrics.public", doc.Metrics.Public)
	return Metrics{Listen: p.listen("metrics.listen", doc.Metrics.Listen, public), Public: public}
}

func (p *problems) listen(key string, value any, public bool) Listen {
	s, ok := value.(string)
	if path, isPath := strings.CutPrefix(s, unixPrefix); isPath {
		if !filepath.IsAbs(path) {
			p.add(key, value, "not an absolute path: write %q", "unix:/run/ssyncp/metrics.sock")
		} else if len(path) > socketMax {
			p.add(key, value, "too long: the path of a socket is at most %d bytes", socketMax)
		}
		return Listen{Network: "unix", Address: path}
	}
	if s == "" && ok {
		return Listen{}
	}
	at, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		p.add(key, value, "not an address and a port: write %q, %q or %q", metricsExample, "[::1]:9581", "unix:/run/ssyncp/metrics.sock")
	case at.Port() == 0:
		p.add(key, value, "nobody finds port 0: write %q", metricsExample)
	case !at.Addr().Unmap().IsLoopback() && !public:
		p.add(key, value, "other hosts reach this address, and nobody is asked who they are: write %q and put a proxy before it, or set metrics.public = true where the network is trusted", metricsExample)
	}
	return Listen{Network: "tcp", Address: s}
}
