package peering

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"
)

var constantRow = regexp.MustCompile(`(?m)^\| \*?([A-Za-z_ ]+)\*?†? \| ([^|]+) \|$`)

// The constants of docs/protocol.md are the ones here.
func TestConstantsOfTheProtocolDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, row := range constantRow.FindAllStringSubmatch(string(text), -1) {
		found[row[1]] = row[2]
	}
	span := func(from, to time.Duration) string { return fmt.Sprintf("%v to %v", from, to) }
	for name, value := range map[string]any{
		"peers":              maxPeers,
		"forget unproven":    forgetUnproven,
		"forget proven":      forgetProven,
		"window":             windowSize,
		"challenge interval": challengeInterval,
		"challenge burst":    challengeBurst,
		"twin grace":         twinGrace,
		"heartbeat interval": defaultInterval,
		"NACK delay":         span(nackDelayMin, nackDelayMax),
		"NACK retry":         span(nackRetryMin, nackRetryMax),
		"NACK tries":         nackTries,
		"missing":            maxMissing,
		"ring frames":        ringFrames,
		"ring bytes":         defaultRingBytes,
		"resend interval":    resendInterval,
		"request retry":      span(requestRetryMin, requestRetryMax),
		"served":             maxServed,
		"refused":            span(busyMin, busyMax),
		"chunk window":       chunkWindow,
		"chunk again":        chunkAgain,
		"chunk resend":       span(chunkResendMin, chunkResendMax),
		"ACK every":          ackEvery,
		"ACK delay":          ackDelay,
		"serving timeout":    servingTimeout,
		"donor timeout":      donorTimeout,
		"donor delay":        donorDelay,
		"exchange delay":     exchangeDelay,
		"exchange hold":      exchangeHold,
		"gaps patience":      gapsPatience,
		"join_timeout":       defaultJoinTimeout,
		"resync":             span(resyncMin, resyncMax),
		"probe interval":     probeInterval,
		"probe settle":       probeSettle,
		"probe wait":         probeWait,
		"probe tries":        probeTries,
		"probe patience":     probePatience,
		"probe grain":        probeGrain,
		"probe answers":      fmt.Sprintf("%d in %v", probeAnswers, probeAnswersEvery),
		"least body":         MinRoom,
		"queries":            fmt.Sprintf("%d in %v", queriesAnswered, queryInterval),
		"lookups":            maxLookups,
	} {
		if want := fmt.Sprint(value); found[name] != want {
			t.Errorf("%s is %q in the document, %q here", name, found[name], want)
		}
	}
	if silence := (&peer{interval: 2 * time.Second}).silence(); silence != 7*time.Second {
		t.Errorf("a peer with an interval of 2 s is lost after %v, the document says 3.5 intervals", silence)
	}
	if repairShare != 4 {
		t.Errorf("repairs take 1/%d of the pace, the document says a quarter", repairShare)
	}
}
