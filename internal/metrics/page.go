package metrics

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago":   agoText,
	"tone":  tone,
	"count": countText,
}).Parse(pageText))

// page is the status at a glance.
type page struct{ source Source }

// view is what the template shows.
type view struct {
	admin.Status
	State    string // in words
	Remark   string
	Failure  error // why the director did not answer
	Module   chardev.Stats
	NoModule error // why the module did not answer
	Troubles []troubled
	At       time.Time
}

// troubled is a counter that ought to stay where it is.
type troubled struct {
	Group, Name string
	Value       uint64
}

// remarks say what a state means, where its name does not.
var remarks = map[string]string{
	"joining":        "It takes over what its peers know, and is not to become master yet.",
	"synced":         "It has what its peers have.",
	"synced (alone)": "No peer was heard of when it started, and none has been since.",
	"degraded":       "Some entries were refused, as their service is not configured here.",
	"silent":         "The director did not answer in time: it starts, is overloaded, or hangs.",
	"running":        "Version 1 of the protocol knows neither states nor peers.",
}

// ServeHTTP shows the page. Where the director does not answer, that is said,
// and the code is an error's, for programs that look no further.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	v := view{At: time.Now()}
	v.Status, v.Failure = p.source.Status(ctx)
	v.Module, v.NoModule = p.source.Module()
	v.Troubles = troubles(&v.Status)
	switch {
	case v.Failure != nil:
		v.State = "silent"
	case v.Membership != nil:
		v.State = v.Membership.State
	default:
		v.State = "running"
	}
	v.Remark = remarks[v.State]

	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if v.Failure != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	w.Write(body.Bytes())
}

// troubles returns the troubles that are not zero, the most frequent ones first.
func troubles(s *admin.Status) (list []troubled) {
	for _, group := range s.Troubles {
		for name, value := range s.Counters[group] {
			if value > 0 {
				list = append(list, troubled{group, name, value})
			}
		}
	}
	slices.SortFunc(list, func(a, b troubled) int {
		if a.Value != b.Value {
			if a.Value > b.Value {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Group+a.Name, b.Group+b.Name)
	})
	return list
}

// tone is how good a state is, as a class of the style sheet.
func tone(state string) string {
	switch state {
	case "synced":
		return "good"
	case "lost", "silent":
		return "bad"
	case "running":
		return "plain"
	}
	return "fair"
}

// agoText is as exact as somebody reads it at a glance.
func agoText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// countText sets thousands apart.
func countText(value any) string {
	digits := fmt.Sprint(value)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow, and not broken
		}
		b.WriteRune(c)
	}
	return b.String()
}
