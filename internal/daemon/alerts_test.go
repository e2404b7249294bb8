package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/metrics"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// What contrib has for Prometheus and Grafana is of use only while it names
// metrics that there are. These tests hold it against all that a daemon tells.

// known are the values of each label of each metric; nil where they are
// nobody's to know.
type known map[string]map[string][]string

// told returns what a daemon tells that speaks both versions and has a peer.
func told(t *testing.T) known {
	t.Helper()
	d := everything(t)
	parts := d.parts(config.Config{SyncID: 7, Wire: config.Wire{Version: 2}})
	parts.Director = onePeer{}
	families, err := metrics.NewRegistry(metrics.Source{
		Status: parts.Status,
		Module: func() (chardev.Stats, error) { return chardev.Stats{}, nil },
	}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := known{"up": {}}
	for _, f := range families {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		all[f.GetName()] = labels
	}
	for _, labels := range all {
		for _, fixed := range []string{"state", "reason", "helper"} {
			if values, ok := labels[fixed]; ok {
				labels[fixed] = slices.Compact(slices.Sorted(slices.Values(values)))
			}
		}
		for label := range labels {
			if !slices.Contains([]string{"state", "reason", "helper"}, label) {
				labels[label] = nil
			}
		}
		labels["instance"], labels["job"] = nil, nil // Prometheus' own
	}
	return all
}

// onePeer plays a director.
type onePeer struct{ admin.Director }

func (onePeer) Status(context.Context) (peering.Status, error) {
	p := peering.PeerStatus{Peer: block.Peer{Sender: 0x2b}, Name: "lb2", Proven: true, Heard: time.Now(), State: block.StateSynced}
	p.Origin.Addr = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), 0)
	p.Links[0] = time.Now()
	return peering.Status{State: block.StateSynced, Peers: []peering.PeerStatus{p}}, nil
}

var (
	tokens  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\$?[a-zA-Z_:][a-zA-Z0-9_:]*|\[[^]]*\]|[0-9.]+|=~|!~|!=|==|>=|<=|\S`)
	isName  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	used    = regexp.MustCompile(`\$labels\.([a-z_]+)`)
	legend  = regexp.MustCompile(`{{([a-z_]+)}}`)
	grouped = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	words   = []string{"and", "or", "unless", "count", "sum", "max", "min", "rate", "increase", "time", "bool", "label_values"}
)

// check says what is wrong with an expression, and returns the labels that its
// result may have. It is no parser of PromQL, which is another one's: it knows
// what a name is for by what stands beside it.
func (k known) check(expression string) (labels map[string]bool, wrong []string) {
	labels = map[string]bool{}
	var mentioned []string
	list := tokens.FindAllString(expression, -1)
	at := func(i int) string {
		if i < len(list) {
			return list[i]
		}
		return ""
	}
	// until returns where a bracket that opened before i is closed.
	until := func(i int, closing string) int {
		for i < len(list) && list[i] != closing {
			i++
		}
		return i
	}
	for i := 0; i < len(list); i++ {
		token := list[i]
		if !isName.MatchString(token) {
			continue
		}
		if slices.Contains(grouped, token) {
			end := until(i, ")")
			for _, name := range list[i:end] {
				if isName.MatchString(name) && name != token {
					mentioned = append(mentioned, name)
				}
			}
			i = end
			continue
		}
		if slices.Contains(words, token) {
			if token == "label_values" {
				labels, wrong = k.check(at(i + 2))
				if name := at(i + 4); !labels[name] {
					wrong = append(wrong, fmt.Sprintf("nothing there has the label %s", name))
				}
				return labels, wrong
			}
			continue
		}
		metric, ok := k[token]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("no metric %s", token))
			continue
		}
		for label := range metric {
			labels[label] = true
		}
		if at(i+1) != "{" {
			continue
		}
		end := until(i+1, "}")
		for i += 2; i < end; i += 4 { // name, operator, "value", comma
			wrong = append(wrong, match(token, metric, at(i), at(i+1), at(i+2))...)
		}
	}
	for _, name := range mentioned {
		if !labels[name] {
			wrong = append(wrong, fmt.Sprintf("nothing there has the label %s", name))
		}
	}
	return labels, wrong
}

// match says what is wrong with a matcher.
func match(name string, metric map[string][]string, label, operator, quoted string) []string {
	values, ok := metric[label]
	if !ok {
		return []string{fmt.Sprintf("%s has no label %s", name, label)}
	}
	value := strings.Trim(quoted, `"`)
	if values == nil || strings.HasPrefix(value, "$") {
		return nil
	}
	wanted := []string{value}
	if operator == "=~" || operator == "!~" {
		wanted = strings.Split(value, "|")
	}
	var wrong []string
	for _, w := range wanted {
		if !slices.Contains(values, w) {
			wrong = append(wrong, fmt.Sprintf("%s never has %s=%q, only %q", name, label, w, values))
		}
	}
	return wrong
}

func TestWhatIsWrongWithAnExpressionIsFound(t *testing.T) {
	k := told(t)
	for _, tt := range []struct{ expression, wrong string }{
		{`ssyncp_director_up == 0`, ""},
		{`rate(ssyncp_receive_dropped_total{reason="ttl", instance=~"$instance"}[5m]) > 0`, ""},
		{`count(count by (version) (ssyncp_build_info)) > 1`, ""},
		{`label_values(ssyncp_build_info, instance)`, ""},
		{`(ssyncp_peer_twin == 1) * on (instance, peer) group_left (name) ssyncp_peer_info`, ""},
		{`ssyncp_director_upp == 0`, "no metric ssyncp_director_upp"},
		{`median(ssyncp_director_up)`, "no metric median"},
		{`ssyncp_director_up{state="synced"}`, "ssyncp_director_up has no label state"},
		{`ssyncp_director_state{instance="a", state="sinced"}`, `never has state="sinced"`},
		{`ssyncp_module_dropped_total{reason=~"full|fool"}`, `never has reason="fool"`},
		{`sum by (colour) (ssyncp_director_up)`, "nothing there has the label colour"},
		{`label_values(ssyncp_build_info, colour)`, "nothing there has the label colour"},
		{`label_values(ssyncp_builds, instance)`, "no metric ssyncp_builds"},
	} {
		_, wrong := k.check(tt.expression)
		if got := strings.Join(wrong, "; "); (tt.wrong == "") != (got == "") || !strings.Contains(got, tt.wrong) {
			t.Errorf("%s: %q, want %q", tt.expression, got, tt.wrong)
		}
	}
}

func TestAlertsNameWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../contrib/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	k, count := told(t), 0
	for _, g := range file.Groups {
		for _, rule := range g.Rules {
			count++
			labels, wrong := k.check(rule.Expr)
			for _, w := range wrong {
				t.Errorf("%s: %s", rule.Alert, w)
			}
			for _, kind := range []string{"summary", "description"} {
				if rule.Annotations[kind] == "" {
					t.Errorf("%s has no %s", rule.Alert, kind)
				}
				for _, m := range used.FindAllStringSubmatch(rule.Annotations[kind], -1) {
					if !labels[m[1]] {
						t.Errorf("%s: the %s uses a label %s that is not there", rule.Alert, kind, m[1])
					}
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("%d alerts were found", count)
	}
}

// Prometheus' own tool, where it is installed, reads the rules as Prometheus
// does, and plays what they are about.
func TestAlertsFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool of Prometheus is not installed: lab/install-packages alerts")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "../../contrib/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestDashboardShowsWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../contrib/grafana/ssyncp.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	k, count := told(t), 0
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || ids[p.ID] {
			t.Errorf("panel %d, %q: no title, or not the only one", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := places[place]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				places[place] = p.Title
			}
		}
		for _, target := range p.Targets {
			count++
			labels, wrong := k.check(target.Expr)
			for _, w := range wrong {
				t.Errorf("%s: %s", p.Title, w)
			}
			for _, m := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !labels[m[1]] {
					t.Errorf("%s: the legend has a label %s that is not there: %v", p.Title, m[1], slices.Sorted(maps.Keys(labels)))
				}
			}
		}
	}
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			_, wrong := k.check(v.Query)
			for _, w := range wrong {
				t.Errorf("variable %s: %s", v.Name, w)
			}
		}
	}
	if count < 10 {
		t.Errorf("%d expressions were found", count)
	}
}

// everything is a daemon that has all counters there are.
func everything(t *testing.T) *daemon {
	t.Helper()
	server, err := admin.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	d := &daemon{admin: server, vrrp: vrrp.NewCounters()}
	v2, err := newVersion2(d, config.Config{SyncID: 7, Wire: config.Wire{Auth: config.AuthNone, SenderID: 1, Name: "lb1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v2.tracked = conntrackclass.NewCounters()
	v2.old = newVersion1(d, config.Config{}, config.Link{}, nil, true)
	d.speaker = v2
	return d
}
