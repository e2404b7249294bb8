package cluster

import "testing"

// What waits for the pace goes on waiting when bodies get another size, unless it is
// too long: then it is counted.
func TestNewsThatWaitsSurvivesAnotherRoom(t *testing.T) {
	var n news
	n.fit(1000)
	for _, size := range []int{1000, 700, 701, 600} {
		n.out.Add(append(n.out.Body(), make([]byte, 1000)...)[:size])
	}
	for _, step := range []struct{ room, lost, left int }{{1400, 0, 4}, {700, 2, 2}, {600, 1, 1}} {
		if lost := n.fit(step.room); lost != step.lost || n.out.Len() != step.left {
			t.Errorf("room for %d: %d lost, %d left, want %d and %d", step.room, lost, n.out.Len(), step.lost, step.left)
		}
		if n.out.Room() != step.room {
			t.Errorf("room for %d, want %d", n.out.Room(), step.room)
		}
	}
}
