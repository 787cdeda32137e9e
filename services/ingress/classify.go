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

// classify names what an app callback says, by the first rule that fits. The patterns are dear and come last, where their
// signs are.
func classify(k kind, content string, commandWords []string) string {
	if k.class == events.AppEvent {
		return classEvent
	}
	switch k.name {
	case "image", "file", "voice", "video", "location", "link":
		return k.name
	case "shortvideo":
		return "video"
	case "text":
	default:
		return classGeneralText
	}
	text := strings.TrimSpace(content[:min(len(content), maxText)])
	signs := colons(text)
	switch {
	case strings.HasPrefix(text, "/") || slices.ContainsFunc(commandWords, func(w string) bool { return strings.EqualFold(text, w) }):
		return classCommand
	case signs > 1 && len(chatLine.FindAllStringIndex(text, 2)) == 2:
		return classChatRecord
	case (signs > 0 || strings.Contains(text, "@") || hasMobile(text)) && contact.MatchString(text):
		return classContactInfo
	}
	return classGeneralText
}

// colons counts both kinds: no pattern fits without one, but for numbers and addresses.
func colons(text string) int { return strings.Count(text, ":") + strings.Count(text, "：") }

// hasMobile reports whether there are 11 digits in a row, as a mobile number has.
func hasMobile(text string) bool {
	run := 0
	for i := range len(text) {
		if c := text[i]; c < '0' || c > '9' {
			run = 0
		} else if run++; run == 11 {
			return true
		}
	}
	return false
}
