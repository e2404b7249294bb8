package daemon_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// The interfaces have 1,500 bytes, and the way to B loses what has more than
// 1,400 with IP's header of 20. The search ends within 16 bytes of that.
func TestWhatANarrowLinkTakesIsShown(t *testing.T) {
	t.Parallel()
	const passes, grain = 1400 - 20, 16
	nsA, nsB := pair(t)
	nft(t, nsB, "table inet narrow { chain way { type filter hook prerouting priority -300; meta l4proto 114 meta length > 1400 drop; }; }")
	key, socket, scraped := newKey(t), filepath.Join(t.TempDir(), "socket"), filepath.Join(t.TempDir(), "m")
	a := start2(t, nsA, 1, key, "--admin-socket="+socket, "--metrics-listen=unix:"+scraped)
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	client := admin.NewClient(socket)
	frame := 0
	narrow := func() bool {
		s, err := client.Status(t.Context())
		if err != nil || s.Membership == nil || len(s.Narrow) != 1 {
			return false
		}
		frame = s.Narrow[0].Frame
		return s.Narrow[0].Link == 1 && s.Frame == frame
	}
	eventually(t, "the link to be found", narrow)
	eventually(t, "the search to end", func() bool { return narrow() && frame <= passes && frame > passes-grain })
	text := scrape(t, scraped)
	for _, want := range []string{
		fmt.Sprintf("ssyncp_director_frame_bytes %d", frame),
		fmt.Sprintf(`ssyncp_director_narrow_link_frame_bytes{link="1"} %d`, frame),
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	a.stop()
	b.stop()
}
