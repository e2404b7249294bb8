package chardev

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

const header = "../../kmod/uapi/ssyncp.h"

// abi is every constant, size and offset of the header, as C expressions, with
// what this package has for it.
var abi = map[string]uint64{
	"SSYNCP_ABI_VERSION": ABIVersion,
	"SSYNCP_ALIGN":       Align,
	"SSYNCP_READ_MIN":    ReadMin,
	"SSYNCP_WRITE_MAX":   WriteMax,
	"SSYNCP_PE_NAME_MAX": peNameMax,
	"SSYNCP_PE_DATA_MAX": peDataMax,

	"SSYNCP_KIND_CONN":  kindConn,
	"SSYNCP_KIND_EVENT": kindEvent,
	"SSYNCP_OPT_SEQ":    optSeq,
	"SSYNCP_OPT_PE":     optPE,
	"AF_INET":           familyIPv4,
	"AF_INET6":          familyIPv6,

	// The marks of package ipvs are those of the record: see decodeConn.
	"SSYNCP_MARK_LOCAL": uint64(ipvs.MarkLocal),
	"SSYNCP_MARK_KNOWN": uint64(ipvs.MarkKnown),
	"SSYNCP_MARK_BOUND": uint64(ipvs.MarkBound),

	"SSYNCP_EVENT_LOST":           uint64(EventLost),
	"SSYNCP_EVENT_MASTER_RUNNING": uint64(EventMasterRunning),
	"SSYNCP_EVENT_MASTER_STOPPED": uint64(EventMasterStopped),

	"SSYNCP_MODE_CAPTURE":  uint64(ModeCapture),
	"SSYNCP_MODE_SNAPSHOT": uint64(ModeSnapshot),
	"SSYNCP_MODE_INJECT":   uint64(ModeInject),
	"SSYNCP_ATTACH_OWNED":  attachOwned,
	"SSYNCP_ATTACH_DUE":    attachDue,

	"SSYNCP_REFUSED_STALE":      uint64(RefusedStale),
	"SSYNCP_REFUSED_LOCAL_HOLD": uint64(RefusedLocalHold),
	"SSYNCP_REFUSED_EXPIRED":    uint64(RefusedExpired),
	"SSYNCP_REFUSED_CONFLICT":   uint64(RefusedConflict),
	"SSYNCP_REFUSED_FAMILY":     uint64(RefusedFamily),
	"SSYNCP_REFUSED_PROTOCOL":   uint64(RefusedProtocol),
	"SSYNCP_REFUSED_STATE":      uint64(RefusedState),
	"SSYNCP_REFUSED_FLAGS":      uint64(RefusedFlags),
	"SSYNCP_REFUSED_PE":         uint64(RefusedPE),
	"SSYNCP_REFUSED_NO_DEST":    uint64(RefusedNoDest),
	"SSYNCP_REFUSED_TABLE_FULL": uint64(RefusedTableFull),
	"SSYNCP_REFUSED_NO_MEMORY":  uint64(RefusedNoMemory),
	"SSYNCP_REFUSED_UNRESOLVED": uint64(RefusedUnresolved),
	"SSYNCP_REFUSED_REASONS":    uint64(Reasons),

	"SSYNCP_COUNTER_QUEUED":            uint64(CounterQueued),
	"SSYNCP_COUNTER_READ_CALLS":        uint64(CounterReadCalls),
	"SSYNCP_COUNTER_READ_RECORDS":      uint64(CounterReadRecords),
	"SSYNCP_COUNTER_WAKEUPS":           uint64(CounterWakeups),
	"SSYNCP_COUNTER_SKIPPED_CLOSING":   uint64(CounterSkippedClosing),
	"SSYNCP_COUNTER_SKIPPED_PERSIST":   uint64(CounterSkippedPersist),
	"SSYNCP_COUNTER_DROPPED_NEW":       uint64(CounterDroppedNew),
	"SSYNCP_COUNTER_DROPPED_FULL":      uint64(CounterDroppedFull),
	"SSYNCP_COUNTER_DROPPED_FAULT":     uint64(CounterDroppedFault),
	"SSYNCP_COUNTER_DROPPED_DRAINED":   uint64(CounterDroppedDrained),
	"SSYNCP_COUNTER_LOST_EVENTS":       uint64(CounterLostEvents),
	"SSYNCP_COUNTER_MASTER_EVENTS":     uint64(CounterMasterEvents),
	"SSYNCP_COUNTER_SNAPSHOTS":         uint64(CounterSnapshots),
	"SSYNCP_COUNTER_SNAPSHOT_RECORDS":  uint64(CounterSnapshotRecords),
	"SSYNCP_COUNTER_SNAPSHOT_RESTARTS": uint64(CounterSnapshotRestarts),
	"SSYNCP_COUNTER_WRITE_CALLS":       uint64(CounterWriteCalls),
	"SSYNCP_COUNTER_WRITE_MALFORMED":   uint64(CounterWriteMalformed),
	"SSYNCP_COUNTER_CREATED":           uint64(CounterCreated),
	"SSYNCP_COUNTER_UPDATED":           uint64(CounterUpdated),
	"SSYNCP_COUNTER_REPLACED":          uint64(CounterReplaced),
	"SSYNCP_COUNTER_CLAMPED":           uint64(CounterClamped),
	"SSYNCP_COUNTER_UNBOUND":           uint64(CounterUnbound),
	"SSYNCP_COUNTER_REFUSED":           uint64(CounterRefused),
	"SSYNCP_COUNTERS":                  uint64(Counters),

	"SSYNCP_MISSING_FIND_DEST":     uint64(MissingFindDest),
	"SSYNCP_MISSING_TRY_BIND_DEST": uint64(MissingTryBindDest),
	"SSYNCP_MISSING_CT_IN_GET":     uint64(MissingCtInGet),
	"SSYNCP_MISSING_PE_GETBYNAME":  uint64(MissingPEGetByName),
	"SSYNCP_MISSING_CONN_SEQ_NEXT": uint64(MissingConnSeqNext),
	"SSYNCP_MISSING_FILL_CPORT":    uint64(MissingFillCPort),
	"SSYNCP_MISSING_CONN_LISTEN":   uint64(MissingConnListen),
	"SSYNCP_MISSING_SERVICE_FIND":  uint64(MissingServiceFind),

	"SSYNCP_STATE_CAPTURING":      uint64(StateCapturing),
	"SSYNCP_STATE_LINGERING":      uint64(StateLingering),
	"SSYNCP_STATE_MASTER_RUNNING": uint64(StateMasterRunning),
	"SSYNCP_STATE_INTERPOSED":     uint64(StateInterposed),
	"SSYNCP_STATE_BURIED":         uint64(StateBuried),

	"SSYNCP_IOC_MAGIC":    iocMagic,
	"SSYNCP_IOC_ATTACH":   uint64(iocAttach),
	"SSYNCP_IOC_REFUSALS": uint64(iocRefusals),
	"SSYNCP_IOC_STATS":    uint64(iocStats),

	"sizeof(struct ssyncp_head)":            headSize,
	"offsetof(struct ssyncp_head, len)":     offLen,
	"offsetof(struct ssyncp_head, kind)":    offKind,
	"offsetof(struct ssyncp_head, options)": offOptions,

	"sizeof(struct ssyncp_conn)":                connSize,
	"offsetof(struct ssyncp_conn, head)":        0,
	"offsetof(struct ssyncp_conn, family)":      offFamily,
	"offsetof(struct ssyncp_conn, dest_family)": offDestFamily,
	"offsetof(struct ssyncp_conn, protocol)":    offProtocol,
	"offsetof(struct ssyncp_conn, marks)":       offMarks,
	"offsetof(struct ssyncp_conn, flags)":       offFlags,
	"offsetof(struct ssyncp_conn, state)":       offState,
	"offsetof(struct ssyncp_conn, cport)":       offCPort,
	"offsetof(struct ssyncp_conn, vport)":       offVPort,
	"offsetof(struct ssyncp_conn, dport)":       offDPort,
	"offsetof(struct ssyncp_conn, fwmark)":      offFwmark,
	"offsetof(struct ssyncp_conn, timeout_ms)":  offTimeout,
	"offsetof(struct ssyncp_conn, age_ms)":      offAge,
	"offsetof(struct ssyncp_conn, told_ms)":     offTold,
	"offsetof(struct ssyncp_conn, reserved)":    offReserved,
	"offsetof(struct ssyncp_conn, caddr)":       offCAddr,
	"offsetof(struct ssyncp_conn, vaddr)":       offVAddr,
	"offsetof(struct ssyncp_conn, daddr)":       offDAddr,

	"sizeof(struct ssyncp_seq)":                   seqSize,
	"offsetof(struct ssyncp_seq, init_seq)":       offInit,
	"offsetof(struct ssyncp_seq, delta)":          offDelta,
	"offsetof(struct ssyncp_seq, previous_delta)": offPreviousDelta,
	"sizeof(struct ssyncp_seq_option)":            seqOptionSize,
	"offsetof(struct ssyncp_seq_option, in)":      offSeqIn,
	"offsetof(struct ssyncp_seq_option, out)":     offSeqOut,

	"sizeof(struct ssyncp_pe)":             peSize,
	"offsetof(struct ssyncp_pe, name)":     offPEName,
	"offsetof(struct ssyncp_pe, len)":      offPELen,
	"offsetof(struct ssyncp_pe, reserved)": offPEReserved,

	"sizeof(struct ssyncp_event)":           eventSize,
	"offsetof(struct ssyncp_event, head)":   0,
	"offsetof(struct ssyncp_event, events)": offEvents,

	"sizeof(struct ssyncp_attach)":                uint64(unsafe.Sizeof(attachArg{})),
	"offsetof(struct ssyncp_attach, abi_version)": uint64(unsafe.Offsetof(attachArg{}.abiVersion)),
	"offsetof(struct ssyncp_attach, mode)":        uint64(unsafe.Offsetof(attachArg{}.mode)),
	"offsetof(struct ssyncp_attach, flags)":       uint64(unsafe.Offsetof(attachArg{}.flags)),
	"offsetof(struct ssyncp_attach, linger_ms)":   uint64(unsafe.Offsetof(attachArg{}.lingerMS)),
	"offsetof(struct ssyncp_attach, watermark)":   uint64(unsafe.Offsetof(attachArg{}.watermark)),
	"offsetof(struct ssyncp_attach, reserved)":    uint64(unsafe.Offsetof(attachArg{}.reserved)),

	"sizeof(struct ssyncp_refusal)":              uint64(unsafe.Sizeof(Refusal{})),
	"offsetof(struct ssyncp_refusal, index)":     uint64(unsafe.Offsetof(Refusal{}.Index)),
	"offsetof(struct ssyncp_refusal, reason)":    uint64(unsafe.Offsetof(Refusal{}.Reason)),
	"sizeof(struct ssyncp_refusals)":             uint64(unsafe.Sizeof(refusalsArg{})),
	"offsetof(struct ssyncp_refusals, entries)":  uint64(unsafe.Offsetof(refusalsArg{}.entries)),
	"offsetof(struct ssyncp_refusals, count)":    uint64(unsafe.Offsetof(refusalsArg{}.count)),
	"offsetof(struct ssyncp_refusals, reserved)": uint64(unsafe.Offsetof(refusalsArg{}.reserved)),

	"sizeof(struct ssyncp_stats)":                        uint64(unsafe.Sizeof(statsArg{})),
	"offsetof(struct ssyncp_stats, size)":                uint64(unsafe.Offsetof(statsArg{}.size)),
	"offsetof(struct ssyncp_stats, abi_version)":         uint64(unsafe.Offsetof(statsArg{}.abiVersion)),
	"offsetof(struct ssyncp_stats, state)":               uint64(unsafe.Offsetof(statsArg{}.state)),
	"offsetof(struct ssyncp_stats, missing)":             uint64(unsafe.Offsetof(statsArg{}.missing)),
	"offsetof(struct ssyncp_stats, queue_len)":           uint64(unsafe.Offsetof(statsArg{}.queueLen)),
	"offsetof(struct ssyncp_stats, conn_count)":          uint64(unsafe.Offsetof(statsArg{}.connCount)),
	"offsetof(struct ssyncp_stats, shortest_timeout_ms)": uint64(unsafe.Offsetof(statsArg{}.shortestTimeoutMS)),
	"offsetof(struct ssyncp_stats, reserved)":            uint64(unsafe.Offsetof(statsArg{}.reserved)),
	"offsetof(struct ssyncp_stats, counter)":             uint64(unsafe.Offsetof(statsArg{}.counter)),
}

// compiler returns the C compiler, or skips the test where there is none.
func compiler(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no C compiler (cc, gcc, clang, or the one in CC): cannot compare with " + header)
	return ""
}

func TestLayoutIsThatOfTheCHeader(t *testing.T) {
	cc := compiler(t)
	dir := t.TempDir()
	include, err := filepath.Abs(filepath.Dir(header))
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	program.WriteString("#include <stddef.h>\n#include <stdio.h>\n#include <sys/socket.h>\n#include \"ssyncp.h\"\nint main(void)\n{\n")
	for expression := range abi {
		fmt.Fprintf(&program, "\tprintf(\"%%llu %%s\\n\", (unsigned long long)(%s), %q);\n", expression, expression)
	}
	program.WriteString("\treturn 0;\n}\n")
	source, binary := filepath.Join(dir, "abi.c"), filepath.Join(dir, "abi")
	if err := os.WriteFile(source, []byte(program.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-std=c11", "-Wall", "-Werror", "-I", include, "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cc, err, out)
	}
	out, err := exec.Command(binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(string(out)) {
		number, expression, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		want, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := abi[expression]; got != want {
			t.Errorf("%s is %d in C, %d in Go", expression, want, got)
		}
		compared++
	}
	if compared != len(abi) {
		t.Errorf("compared %d of %d", compared, len(abi))
	}
}

// A name or a member that is new in the header must come into the comparison.
func TestLayoutTestKnowsTheWholeHeader(t *testing.T) {
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(text), "")
	notLayout := map[string]bool{"SSYNCP_DEVICE_NAME": true}
	names := regexp.MustCompile(`\bSSYNCP_[A-Z0-9_]+\b`).FindAllString(source, -1)
	for _, name := range names {
		if _, ok := abi[name]; !ok && !notLayout[name] {
			t.Errorf("%s is not compared", name)
		}
	}
	structs := regexp.MustCompile(`(?s)struct (ssyncp_\w+) \{(.*?)\n\};`).FindAllStringSubmatch(source, -1)
	member := regexp.MustCompile(`(?m)^\s+[\w ]+?\s+(\w+)(?:\[\w+\])?;`)
	members := 0
	for _, s := range structs {
		if expression := "sizeof(struct " + s[1] + ")"; abi[expression] == 0 {
			t.Errorf("%s is not compared", expression)
		}
		for _, m := range member.FindAllStringSubmatch(s[2], -1) {
			members++
			expression := "offsetof(struct " + s[1] + ", " + m[1] + ")"
			if _, ok := abi[expression]; !ok {
				t.Errorf("%s is not compared", expression)
			}
		}
	}
	slices.Sort(names)
	inHeader, compared := len(slices.Compact(names))-len(notLayout), 0
	offsets := 0
	for expression := range abi {
		if strings.HasPrefix(expression, "SSYNCP_") {
			compared++
		}
		if strings.HasPrefix(expression, "offsetof") {
			offsets++
		}
	}
	if inHeader != compared || members != offsets {
		t.Errorf("%d names and %d members are in the header, %d and %d are compared", inHeader, members, compared, offsets)
	}
}
