package events

import (
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// AppendJSON appends to dst the event of the item in structured mode: byte for byte what Event gives when it is
// encoded, without the library's event in between. Raw must be JSON in UTF-8; it is not looked at.
func (in Inbound) AppendJSON(dst []byte) []byte {
	kind := string(in.kind())
	name := Token(in.Name())
	b := append(dst, `{"specversion":"`+event.CloudEventsVersionV1+`","id":"`...)
	b = appendText(b, in.ID())
	b = append(b, `","source":"`...)
	b = append(b, Source(in.Corp, in.OpenKfID)...)
	b = append(append(append(b, `","type":"`+typePrefix...), kind...), '.')
	b = append(append(b, name...), typeVersion...)
	if in.ExternalUserID != "" && printable(in.ExternalUserID) {
		b = append(b, `","subject":"`...)
		b = appendText(b, in.ExternalUserID)
	}
	if in.dated() {
		b = append(b, `","time":"`...)
		b = time.Unix(in.SendTime, 0).UTC().AppendFormat(b, time.RFC3339)
	}
	b = append(append(append(b, `","dataschema":"`+schemaPrefix...), kind...), '.')
	b = append(append(b, name...), schemaSuffix...)
	b = appendExt(b, ExtExternalUserID, in.ExternalUserID) // from here on by name
	if in.History {
		b = append(b, `","`+ExtHistory+`":"true`...)
	}
	if in.Origin != 0 {
		b = append(b, `","`+ExtOrigin+`":"`...)
		b = strconv.AppendInt(b, int64(in.Origin), 10)
	}
	if in.Replay {
		b = append(b, `","`+ExtReplay+`":"true`...)
	}
	b = append(b, `","`+ExtSeq+`":"`...)
	b = appendSeq(b, in.Seq)
	b = appendExt(b, ExtOpenKfID, in.OpenKfID)
	b = appendExt(b, ExtTraceParent, in.TraceParent)
	b = append(b, `","datacontenttype":"`+event.ApplicationJSON+`","data":`...)
	return append(append(b, in.Raw...), '}')
}

// TraceText is the traceparent of the event; "" for none.
func (in Inbound) TraceText() string {
	if in.TraceParent == "" {
		return ""
	}
	return plain(in.TraceParent)
}

// appendExt appends what setText sets.
func appendExt(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `","`...), name...), `":"`...)
	return appendText(b, plain(value))
}

// appendText appends printable text as the inside of a JSON string.
func appendText(b []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return append(b, s...)
		}
		b = append(append(b, s[:i]...), `\\`...)
		s = s[i+1:]
	}
}
