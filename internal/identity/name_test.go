package identity

import (
	"errors"
	"strings"
	"testing"
)

func TestHostNameThatPeersCannotShow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		valid bool
	}{
		{"lb1.example.net", true},
		{"dir-é1", true},
		{strings.Repeat("n", 64), true},
		{strings.Repeat("n", 65), false},
		{"lb\x1b[31m", false},
		{"lb\xff", false},
	} {
		err := judge(tt.name)
		if tt.valid != (err == nil) || !tt.valid && (!errors.Is(err, ErrName) || !strings.Contains(err.Error(), "set wire.name")) {
			t.Errorf("%q: %v", tt.name, err)
		}
	}
}
