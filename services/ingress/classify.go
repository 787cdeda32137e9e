package ingress

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kfbus/kfbus/pkg/events"
)

// Classes of ordinary app callbacks, the extension kfclass: a hint for simple
// bots, which need not trust it.
const (
	classChatRecord  = "chat_record"
	classContactInfo = "contact_info"
	classCommand     = "command"
	classGeneralText = "general_text"
	classEvent       = "event"
)

var (
	// Two or more lines that look like "name 12:34" or "name: words" are a pasted chat.
	chatLine = regexp.MustCompile(`(?m)^\s*[^\n:：]{1,32}(\s+\d{4}[-/]\d{1,2}[-/]\d{1,2})?\s+\d{1,2}:\d{2}|^\s*[^\n:：]{1,16}[:：]\s*\S`)
	// A mainland mobile number, a mail address, or a word for either.
	contact = regexp.MustCompile(`(^|\D)1[3-9]\d{9}(\D|$)|[\w.+-]+@[\w-]+\.[\w.-]+|(电话|手机|微信号|邮箱|联系方式)\s*[:：]`)
)

// maxText is the longest text of the platform, in bytes; what is beyond it, if ever, is not looked at.
const maxText = 2048

// classify names what an app callback says, by the first rule that fits.
func classify(k kind, content string, commandWords []string) string {
	msgType := k.name
	text := strings.TrimSpace(content[:min(len(content), maxText)])
	for _, rule := range []struct {
		class string
		fits  bool
	}{
		{classEvent, k.class == events.AppEvent},
		{msgType, msgType != "text" && slices.Contains([]string{"image", "file", "voice", "video", "location", "link"}, msgType)},
		{"video", msgType == "shortvideo"},
		{classGeneralText, msgType != "text"},
		{classCommand, strings.HasPrefix(text, "/") || slices.ContainsFunc(commandWords, func(w string) bool { return strings.EqualFold(text, w) })},
		{classChatRecord, len(chatLine.FindAllStringIndex(text, 2)) == 2},
		{classContactInfo, contact.MatchString(text)},
	} {
		if rule.fits {
			return rule.class
		}
	}
	return classGeneralText
}
