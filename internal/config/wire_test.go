package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/config"
)

// version2 is the least that version 2 takes, without a link.
const version2 = "sync_id = 7\nwire.version = 2\n"

func TestLinks(t *testing.T) {
	group, addr := netip.MustParseAddr("224.0.0.81"), netip.MustParseAddr
	want := []config.Link{
		{Interface: "eth1", Group: group, TTL: 255},
		{Interface: "eth2", Group: addr("ff12::81"), UDPPort: 7114, TTL: 255},
		{Interface: "eth3", Peers: []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")}, TTL: 64},
		{Interface: "eth3", Peers: []netip.Addr{addr("2001:db8::2")}, TTL: 255},
	}
	const text = "eth1;eth2,group=ff12::81,udp_port=7114;eth3, peers=10.0.0.2+10.0.0.3, ttl=64;eth3,peers=2001:db8::2"
	same := func(t *testing.T, content string, args ...string) {
		t.Helper()
		got, _, err := load(t, content, args...)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Links, want) {
			t.Errorf("got  %+v\nwant %+v", got.Links, want)
		}
		if got.Multicast.Interface != "" {
			t.Errorf("a link of [multicast], too: %+v", got.Multicast)
		}
	}
	t.Run("file", func(t *testing.T) {
		same(t, version2+`
[[links]]
interface = "eth1"
[[links]]
interface = "eth2"
group = "ff12::81"
udp_port = 7114
[[links]]
interface = "eth3"
peers = ["10.0.0.2", "10.0.0.3"]
ttl = 64
[[links]]
interface = "eth3"
peers = ["2001:db8::2"]
`)
	})
	t.Run("flag", func(t *testing.T) { same(t, version2, "--links", text) })
	t.Run("environment", func(t *testing.T) {
		t.Setenv("SSYNCP_LINKS", text)
		same(t, version2)
	})
	t.Run("flag beats file", func(t *testing.T) {
		same(t, version2+"[[links]]\ninterface = 'other'\n", "--links", text)
	})
	t.Run("an empty list is none", func(t *testing.T) {
		got, _, err := load(t, version2+"links = []\n[multicast]\ninterface = 'eth1'\n")
		if err != nil || !reflect.DeepEqual(got.Links, want[:1]) {
			t.Errorf("got %+v, %v", got.Links, err)
		}
	})
	t.Run("in words", func(t *testing.T) {
		for i, words := range []string{
			"eth1, group 224.0.0.81, IP protocol 114, TTL 255",
			"eth2, group ff12::81, UDP port 7114, TTL 255",
			"eth3, peers 10.0.0.2, 10.0.0.3, IP protocol 114, TTL 64",
		} {
			if got := want[i].String(); got != words {
				t.Errorf("got %q, want %q", got, words)
			}
		}
	})
}

func TestLinksMayHaveOnePort(t *testing.T) {
	for _, links := range []string{
		"eth1,udp_port=7114;eth2,udp_port=7114",
		"eth1,udp_port=7114;eth1,group=ff12::81,udp_port=7114",
	} {
		if _, _, err := load(t, version2, "--links", links); err != nil {
			t.Error(err)
		}
	}
}

func TestLinkOfVersion1(t *testing.T) {
	for _, tt := range []struct {
		links string
		want  string // its interface
	}{
		{"eth1", "eth1"},
		{"eth1,peers=10.0.0.2;eth2,group=ff12::81;eth3,udp_port=7114;eth4", "eth4"},
		{"eth1,peers=10.0.0.2", ""},
	} {
		c, _, err := load(t, version2, "--links", tt.links)
		if err != nil {
			t.Fatal(err)
		}
		if link, ok := c.Version1Link(); link.Interface != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %+v, %v", tt.links, link, ok)
		}
	}
	c, _, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if link, ok := c.Version1Link(); !ok || link.Interface != "eth1" {
		t.Errorf("version 1: got %+v, %v", link, ok)
	}
}

func TestRefusedOfVersion2(t *testing.T) {
	link := func(keys string) string { return version2 + "[[links]]\ninterface = 'eth1'\n" + keys }
	links := func(n int) string { return version2 + strings.Repeat("[[links]]\ninterface = 'eth1'\n", n) }
	wire := func(keys string) string { return "[wire]\nversion = 2\n" + keys }
	for _, tt := range []struct {
		name  string
		file  string
		key   string
		value any
		text  string // part of it
	}{
		{"one table of links", version2 + "[links]\ninterface = 'eth1'", "links", nil, "write [[links]], with two brackets"},
		{"links of a number", version2 + "links = 5", "links", nil, "must be a list of tables"},
		{"a list of numbers", version2 + "links = [5]", "links[1]", int64(5), "must be a table"},
		{"too many links", links(5), "links", nil, "5 links, must be at most 4"},
		{"a link twice", links(2), "links[2]", nil, "the peers of an earlier link"},
		{"a peer on two links", link("peers = ['10.0.0.2']\n[[links]]\ninterface = 'eth1'\npeers = ['10.0.0.3', '10.0.0.2']"), "links[2]", nil, "the peers of an earlier link"},
		{"link without interface", version2 + "[[links]]\ngroup = '224.0.0.81'", "links[1].interface", nil, "not set"},
		{"link with an interface that is no name", version2 + "[[links]]\ninterface = 'a/b'", "links[1].interface", "a/b", "not an interface name"},
		{"unknown key of a link", link("port = 5"), "links[1].port", int64(5), "use one of interface, group, peers, udp_port, ttl"},
		{"the second link", link("") + "[[links]]\ninterface = 'eth2'\nudp_port = 65536", "links[2].udp_port", int64(65536), "0 to 65535"},
		{"a port twice on an interface", link("udp_port = 7114") + "\n[[links]]\ninterface = 'eth1'\npeers = ['10.0.0.2']\nudp_port = 7114", "links[2].udp_port", int64(7114), "name another one"},
		{"group not multicast", link("group = '10.0.0.1'"), "links[1].group", "10.0.0.1", "not a multicast address"},
		{"group of this host only", link("group = 'ff01::81'"), "links[1].group", "ff01::81", "never leaves this host"},
		{"group with a zone", link("group = 'ff12::81%eth1'"), "links[1].group", "ff12::81%eth1", `write "ff12::81"`},
		{"group in disguise", link("group = '::ffff:224.0.0.81'"), "links[1].group", "::ffff:224.0.0.81", "not an address"},
		{"group and peers", link("group = '224.0.0.81'\npeers = ['10.0.0.2']"), "links[1].peers", nil, "beside a group"},
		{"TTL 64 to a group", link("ttl = 64"), "links[1].ttl", int64(64), "only 255 proves"},
		{"TTL 0", link("peers = ['10.0.0.2']\nttl = 0"), "links[1].ttl", int64(0), "1 to 255"},
		{"peers not a list", link("peers = '10.0.0.2'"), "links[1].peers", nil, "must be a list"},
		{"no peers", link("peers = []"), "links[1].peers", nil, "must be a list with an address at least"},
		{"too many peers", link("peers = [" + strings.Repeat("'10.0.0.2',", 64) + "]"), "links[1].peers", nil, "64 peers, must be at most 63"},
		{"peer a name", link("peers = ['lb2']"), "links[1].peers", "lb2", "not an address"},
		{"peer a number", link("peers = [5]"), "links[1].peers", int64(5), "not an address"},
		{"peer with a zone", link("peers = ['fe80::2%eth1']"), "links[1].peers", "fe80::2%eth1", `write "fe80::2"`},
		{"peer a group", link("peers = ['224.0.0.81']"), "links[1].peers", "224.0.0.81", "not the address of one host"},
		{"peer everybody", link("peers = ['255.255.255.255']"), "links[1].peers", "255.255.255.255", "not the address of one host"},
		{"peer nobody", link("peers = ['::']"), "links[1].peers", "::", "not the address of one host"},
		{"peer twice", link("peers = ['10.0.0.2', '10.0.0.2']"), "links[1].peers", "10.0.0.2", "named twice"},
		{"peers of two families", link("peers = ['10.0.0.2', '2001:db8::2']"), "links[1].peers", "2001:db8::2", "another family than 10.0.0.2"},
		{"peers without a key", "wire.auth = 'none'\n" + link("peers = ['10.0.0.2']"), "links[1].peers", nil, `set wire.auth = "psk"`},
		{"interface beside links", link("[multicast]\ninterface = 'eth2'"), "multicast.interface", nil, "set beside links"},
		{"group beside links, the default even", link("[multicast]\ngroup = '224.0.0.81'"), "multicast.group", nil, "set beside links"},

		{"auth", wire("auth = 'password'"), "wire.auth", "password", `must be "psk", or "none"`},
		{"auth a truth value", wire("auth = false"), "wire.auth", false, `must be "psk", or "none"`},
		{"relative key file", wire("key_file = 'key'"), "wire.key_file", "key", "not an absolute path"},
		{"relative accepted key file", wire("key_file_accepted = 'key'"), "wire.key_file_accepted", "key", "not an absolute path"},
		{"one key file twice", wire("key_file = '/k'\nkey_file_accepted = '/k'"), "wire.key_file_accepted", "/k", "the same file as wire.key_file"},
		{"dual for ever", wire("dual_until = 2999-01-01T00:00:00Z"), "wire.dual_until", "2999-01-01T00:00:00Z", "too far ahead: must be within 7 days"},
		{"dual as text for ever", wire("dual_until = '2999-01-01T00:00:00Z'"), "wire.dual_until", "2999-01-01T00:00:00Z", "too far ahead"},
		{"dual without a zone", wire("dual_until = 2026-01-01T00:00:00"), "wire.dual_until", "2026-01-01T00:00:00", "not a time with its zone"},
		{"dual for a while", wire("dual_until = '1h'"), "wire.dual_until", "1h", "not a time with its zone"},
		{"dual by a number", wire("dual_until = 5"), "wire.dual_until", "5", "not a time with its zone"},
		{"dual over UDP", "wire.dual_until = '" + tomorrow.Format(time.RFC3339) + "'\n" + link("udp_port = 7114"), "wire.dual_until", tomorrow.Format(time.RFC3339), "no link is one for version 1"},
		{"sender ID too large", wire("sender_id = 4294967296"), "wire.sender_id", int64(4294967296), "0 to 4294967295"},
		{"sender ID a text", wire("sender_id = 'lb1'"), "wire.sender_id", "lb1", "not a whole number"},
		{"name too long", wire("name = '" + strings.Repeat("n", 65) + "'"), "wire.name", strings.Repeat("n", 65), "at most 64 bytes"},
		{"name with a newline", wire(`name = "a\nb"`), "wire.name", "a\nb", "without control characters"},
		{"name a number", wire("name = 1"), "wire.name", int64(1), "not a text"},
		{"join timeout 0", wire("join_timeout = '0s'"), "wire.join_timeout", "0s", "1s to 5m0s"},
		{"ring too small for a frame", wire("ring_bytes = 65535"), "wire.ring_bytes", int64(65535), "65536 to 268435456"},

		{"protocol", "filter.protocols = ['icmp']", "filter.protocols", "icmp", "tcp, udp or sctp"},
		{"protocols not a list", "filter.protocols = 6", "filter.protocols", int64(6), "not a list"},
		{"protocol a number", "filter.protocols = [6]", "filter.protocols", int64(6), "put it in quotes"},
		{"service without a port", "filter.services = ['192.0.2.80']", "filter.services", "192.0.2.80", "not a virtual service"},
		{"service of any address", "filter.services = ['0.0.0.0:80']", "filter.services", "0.0.0.0:80", "not the address of a virtual service"},
		{"service by mark 0", "filter.services = ['fwmark:0']", "filter.services", "fwmark:0", "1 to 4294967295"},
		{"state", "filter.states = ['OPEN']", "filter.states", "OPEN", "use NONE, ESTABLISHED, SYN_SENT"},
		{"templates only, perhaps", "filter.templates_only = 1", "filter.templates_only", int64(1), "true or false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, file, err := load(t, tt.file)
			refused(t, err, config.Problem{Key: tt.key, Value: tt.value, Origin: file, Text: tt.text})
		})
	}
	t.Run("a link in text without a key", func(t *testing.T) {
		_, _, err := load(t, version2, "--links=eth1,224.0.0.81")
		refused(t, err, config.Problem{Key: "links[1]", Value: "224.0.0.81", Origin: "flag --links", Text: "not a setting"})
	})
	t.Run("a peer in text", func(t *testing.T) {
		t.Setenv("SSYNCP_LINKS", "eth1;eth2,peers=10.0.0.2+lb3")
		_, _, err := load(t, version2)
		refused(t, err, config.Problem{Key: "links[2].peers", Value: "lb3", Origin: "environment SSYNCP_LINKS", Text: "not an address"})
	})
}

// What version 1 would silently not do is refused; what is set for version 2
// and has no effect on what is sent may stay for the day that it comes.
func TestVersion1RefusesWhatItDoesNotDo(t *testing.T) {
	_, file, err := load(t, minimal+`
[[links]]
interface = "eth2"
[wire]
version = 1
auth = "none"
dual_until = `+tomorrow.Format(time.RFC3339)+`
[filter]
states = ["ESTABLISHED"]
templates_only = true
`)
	for _, key := range []string{"links", "wire.auth", "wire.dual_until", "filter.states", "filter.templates_only"} {
		if want := fmt.Sprintf("%s: %s", file, key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in %v", key, err)
		}
	}
	if _, _, err := load(t, minimal+"[wire]\nversion = 1\nauth = 'psk'\nkey_file = '/k'\nsender_id = 5\nname = 'lb1'\n"); err != nil {
		t.Error(err)
	}
}

func TestDualEndsByItself(t *testing.T) {
	c, _, err := load(t, minimal+"[wire]\nversion = 2\ndual_until = "+tomorrow.Format(time.RFC3339)+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Wire.Dual(tomorrow.Add(-time.Second)) || c.Wire.Dual(tomorrow) {
		t.Errorf("%+v", c.Wire)
	}
	if (config.Wire{}).Dual(time.Now()) {
		t.Error("dual without being asked for")
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		want []string // a part of each
	}{
		{"version 1", minimal, nil},
		{"version 2 with a key", minimal + "[wire]\nversion = 2", nil},
		{"no authentication", minimal + "[wire]\nversion = 2\nauth = 'none'", []string{`wire.auth = "none": whoever`}},
		{"dual", minimal + "[wire]\nversion = 2\ndual_until = " + tomorrow.Format(time.RFC3339),
			[]string{"until " + tomorrow.Format(time.RFC3339) + " version 1 is sent and accepted, too"}},
		{"dual is over", minimal + "[wire]\nversion = 2\ndual_until = 2020-01-01T00:00:00Z",
			[]string{"wire.dual_until: 2020-01-01T00:00:00Z is over"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := load(t, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Warnings(time.Now())
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("got %q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
}

func TestReloadOfVersion2TakesOverKeyFilesAlone(t *testing.T) {
	running, _, err := load(t, version2, "--links=eth1,peers=10.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args string
		want string // needs a restart
	}{
		{"nothing", "--links=eth1,peers=10.0.0.2", ""},
		{"key files", "--links=eth1,peers=10.0.0.2 --wire-key-file=/k --wire-key-file-accepted=/k2", ""},
		{"a peer", "--links=eth1,peers=10.0.0.3", "links"},
		{"a link", "--links=eth1,peers=10.0.0.2;eth2", "links"},
		{"the other place for links", "--multicast-interface=eth1", "multicast.interface"},
		{"version", "--multicast-interface=eth1 --wire-version=1", "multicast.interface wire.version"},
		{"everything else",
			"--links=eth1 --wire-auth=none --wire-dual-until=" + tomorrow.Format(time.RFC3339) + " --wire-sender-id=1 --wire-name=n" +
				" --wire-join-timeout=1s --wire-ring-bytes=65536" +
				" --filter-protocols=tcp --filter-services=fwmark:1 --filter-states=ESTABLISHED --filter-templates-only=true",
			"links wire.auth wire.dual_until wire.sender_id wire.name wire.join_timeout wire.ring_bytes" +
				" filter.protocols filter.services filter.states filter.templates_only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, _, err := load(t, version2, strings.Fields(tt.args)...)
			if err != nil {
				t.Fatal(err)
			}
			got, restart := running.Reload(next)
			if names := strings.Join(restart, " "); names != tt.want {
				t.Errorf("restart = %q, want %q", names, tt.want)
			}
			want := running
			want.Wire.KeyFile, want.Wire.AcceptedKeyFile = next.Wire.KeyFile, next.Wire.AcceptedKeyFile
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestKeyFileIsFoundInAnIncompleteConfiguration(t *testing.T) {
	if file, err := config.LoadKeyFile(flags(t)); err != nil || file != "/etc/ssyncp/key" {
		t.Errorf("got %q, %v", file, err)
	}
	if file, err := config.LoadKeyFile(flags(t, "--wire-key-file=/k")); err != nil || file != "/k" {
		t.Errorf("got %q, %v", file, err)
	}
	if _, err := config.LoadKeyFile(flags(t, "--wire-key-file=k")); err == nil {
		t.Error("a relative path was accepted")
	}
}

// The links of the sample are comments, because they need version 2 and take
// the place of the link that it has.
func TestSampleShowsValidLinks(t *testing.T) {
	sample, err := os.ReadFile("../../contrib/ssyncpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, commented, _ := strings.Cut(string(sample), "\n# [[links]]\n")
	commented, _, _ = strings.Cut(commented, "\n\n[wire]")
	c, _, err := load(t, version2+"[[links]]\n"+strings.ReplaceAll("\n"+commented, "\n#", "\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(sample), `SSYNCP_LINKS="`)
	text, _, _ = strings.Cut(text, `"`)
	short, _, err := load(t, version2, "--links", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Links) != 2 || len(short.Links) != 2 {
		t.Errorf("got %v and %v", c.Links, short.Links)
	}
}
