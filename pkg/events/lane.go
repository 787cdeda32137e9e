package events

import (
	"fmt"
	"strconv"
	"strings"
)

// Lanes. The server rewrites the subject of what enters a work stream so that
// one conversation, or one account, always falls into the same lane:
//
//	kf.callback.<corp>.<open_kfid>  is stored as  kf.lane.callback.<n>.<corp>.<open_kfid>
//
// Teams and WeChat never see these names; [ParseSubject] reads both forms.
const laneToken = "lane"

// LaneSource is the pattern of subjects that are cut into lanes.
// It exists for [KindCallback] and [KindCommand]; "" for others.
func LaneSource(k Kind) string {
	switch k {
	case KindCallback:
		return "kf.callback.*.*"
	case KindCommand:
		return "kf.command.*.*.*.*.*"
	}
	return ""
}

// LaneDestination is the transform that cuts LaneSource(k) into n lanes: by
// account for doorbells, by conversation for commands.
func LaneDestination(k Kind, n int) string {
	switch k {
	case KindCallback:
		return fmt.Sprintf("kf.lane.callback.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", n)
	case KindCommand:
		return fmt.Sprintf("kf.lane.command.{{partition(%d,2,3,5)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}.{{wildcard(5)}}", n)
	}
	return ""
}

// LaneFilter matches what is stored in lane n. For commands the verbs choose:
// none means all.
func LaneFilter(k Kind, n int, verbs ...string) []string {
	base := prefix + laneToken + "." + string(k) + "." + strconv.Itoa(n)
	if k != KindCommand || len(verbs) == 0 {
		return []string{base + ".>"}
	}
	out := make([]string, len(verbs))
	for i, v := range verbs {
		out[i] = base + ".*.*.*." + v + ".*"
	}
	return out
}

// LaneSubject is the stored form of a subject in lane n.
func LaneSubject(subject string, n int) string {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(subject, prefix), ".")
	return prefix + laneToken + "." + kind + "." + strconv.Itoa(n) + "." + rest
}

// stripLane turns a stored lane subject back into the published one.
func stripLane(subject string) string {
	rest, ok := strings.CutPrefix(subject, prefix+laneToken+".")
	if !ok {
		return subject
	}
	kind, rest, ok := strings.Cut(rest, ".")
	if !ok || LaneSource(Kind(kind)) == "" {
		return subject
	}
	n, rest, ok := strings.Cut(rest, ".")
	if i, err := strconv.Atoi(n); !ok || err != nil || i < 0 || strconv.Itoa(i) != n {
		return subject
	}
	return prefix + kind + "." + rest
}
