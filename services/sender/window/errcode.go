package window

// The codes the rules turn on. https://developer.work.weixin.qq.com/document/path/90313
const (
	codeParam        = 40058 // parameter illegal; by default also: msgid repeated
	codeReplyCode    = 41050 // welcome_code or msg_code used, expired or unknown
	codeQuota        = 95001
	codeWindow       = 95002
	codeEnded        = 95013
	codeState        = 95018
	codeNoMessage    = 95028 // recall: msgid not found
	codeRecallWindow = 95029
)

// AnswerKind is what a POST came to, as far as anyone can know.
type AnswerKind int

const (
	AnswerAmbiguous     AnswerKind = iota // may have had its effect: timeout, cut, HTTP 5xx, a body that is not an answer
	AnswerNotSent                         // certainly never reached the platform: no byte of the request was written
	AnswerAccepted                        // errcode 0
	AnswerRefused                         // any other errcode
	AnswerTokenRejected                   // the access token was refused; nothing else was looked at
	AnswerBusy                            // system busy, nothing done
	AnswerRateLimited                     // too many calls, nothing done
)

// Answer is the end of one POST. The zero value is ambiguous, which is safe.
type Answer struct {
	Kind AnswerKind
	Code int // the errcode, when there was one

	Part    int    // Action.Part of its attempt
	MsgCode string // of an accepted transfer: the code for one reply
}

// AnswerOf classifies an errcode that was read from a complete, well-formed answer.
func AnswerOf(errcode int) Answer {
	kind := AnswerRefused
	switch errcode {
	case 0:
		kind = AnswerAccepted
	case 40001, 40014, 42001:
		kind = AnswerTokenRejected
	case -1, 6000, 45033:
		kind = AnswerBusy
	case 45009:
		kind = AnswerRateLimited
	}
	return Answer{Kind: kind, Code: errcode}
}

// reasonOf names the class of a refusal.
func reasonOf(errcode int) Reason {
	switch errcode {
	case codeQuota:
		return ReasonPlatformQuota
	case codeWindow, 95024, 95031:
		return ReasonPlatformWindow
	case codeEnded, codeState, 95014, 95015, 95016, 95019:
		return ReasonPlatformSession
	case codeNoMessage:
		return ReasonNotFound
	case codeRecallWindow:
		return ReasonRecallWindow
	case codeReplyCode, 41049, 41051, 41053:
		return ReasonPlatformCode
	case 40007:
		return ReasonPlatformMedia
	case 40003, 40096, 60003, 60111, 60123, 84061, 95000, 95004:
		return ReasonPlatformNotFound
	case 95003, 95005, 95025, 95026, 95027:
		return ReasonPlatformLimit
	case 40201, 40204:
		return ReasonPlatformContent
	case 95009, 95017, 95030:
		return ReasonPlatformUnsupported
	case codeParam, 40004, 40005, 40006, 40008, 40009, 40011, 40033, 40035, 40056, 40057, 40063, 40066, 40123, 40206,
		41002, 41004, 41006, 41009, 41035, 44001, 44004, 45001, 45002, 45007, 45029, 45034,
		90200, 90207, 90208, 95006, 95007, 95008, 95022, 301017, 830001, 830002, 830003:
		return ReasonPlatformParam
	case 40013, 40091, 40125, 40164, 41001, 43009, 43012, 45031, 48001, 48002, 48003, 48004, 48005, 48006, 48007,
		50001, 50002, 50003, 50006, 60011, 60020, 60021, 60031, 84074, 90206, 95011, 95012, 95021, 95023, 95032, 301002:
		return ReasonPlatformPermission
	}
	return ReasonPlatformUndocumented
}
