package kfapi

import (
	"cmp"
	"slices"
)

// Category says what kind of trouble an errcode is.
type Category string

// Categories of errcodes.
const (
	CategoryNone        Category = ""            // success, and codes that nobody has documented
	CategoryAuth        Category = "auth"        // token or credential
	CategoryPerm        Category = "perm"        // permission, caller's address, product mode
	CategoryParam       Category = "param"       // the request is wrong
	CategoryNotFound    Category = "notfound"    // the thing named does not exist
	CategoryLimit       Category = "limit"       // a business quota is used up
	CategoryState       Category = "state"       // session, window or timing forbids it
	CategoryContent     Category = "content"     // refused for what it says
	CategoryFreq        Category = "freq"        // called too often
	CategoryTransient   Category = "transient"   // busy
	CategoryUnsupported Category = "unsupported" // this account or component cannot do it
)

// Info is what is known of an errcode.
type Info struct {
	Code     int
	Meaning  string // English, one phrase
	Category Category
}

// Lookup returns what is known of an errcode; ok is false for a code that is not in the catalogue.
//
// https://developer.work.weixin.qq.com/document/path/90313
func Lookup(code int) (info Info, ok bool) {
	i, ok := slices.BinarySearchFunc(catalogue[:], code, func(i Info, code int) int { return cmp.Compare(i.Code, code) })
	if !ok {
		return Info{}, false
	}
	return catalogue[i], true
}

// catalogue is sorted by code and never written to.
var catalogue = [...]Info{
	{-1, "system busy", CategoryTransient},
	{0, "success", CategoryNone},
	{6000, "data version conflict", CategoryTransient},
	{40001, "bad secret or credential (missing, reset, app disabled); some gateways mean a bad token", CategoryAuth},
	{40003, "userid illegal or unknown", CategoryParam},
	{40004, "media file type illegal", CategoryParam},
	{40005, "type parameter illegal", CategoryParam},
	{40006, "media size illegal", CategoryParam},
	{40007, "media_id invalid, expired (3 days) or of the wrong kind", CategoryParam},
	{40008, "msgtype illegal", CategoryParam},
	{40009, "image size illegal", CategoryParam},
	{40011, "video size illegal", CategoryParam},
	{40013, "corpid illegal", CategoryAuth},
	{40014, "access token illegal", CategoryAuth},
	{40033, "request contains illegal characters (JSON escapes)", CategoryParam},
	{40035, "parameter illegal (lists must be arrays, sizes)", CategoryParam},
	{40056, "agentid illegal", CategoryParam},
	{40057, "callback URL illegal or its verification failed", CategoryParam},
	{40058, "parameter illegal: bad JSON, too long, too many items, empty, wrong method, another app's message", CategoryParam},
	{40063, "parameter empty or body not JSON", CategoryParam},
	{40066, "department list illegal", CategoryParam},
	{40091, "secret illegal (of another corp)", CategoryAuth},
	{40096, "external_userid illegal or of another corp", CategoryNotFound},
	{40123, "image content illegal", CategoryParam},
	{40125, "openuserid invalid; official accounts: bad appsecret", CategoryAuth},
	{40164, "official accounts: caller's address not allow-listed", CategoryPerm},
	{40201, "content hit antispam", CategoryContent},
	{40204, "content hit the antispam of WeChat", CategoryContent},
	{40206, "request body too large", CategoryParam},
	{41001, "access token missing in the URL", CategoryAuth},
	{41002, "corpid missing", CategoryParam},
	{41004, "corpsecret missing", CategoryParam},
	{41006, "media_id missing", CategoryParam},
	{41009, "userid missing", CategoryParam},
	{41035, "external_userid missing", CategoryParam},
	{41049, "welcome code missing", CategoryParam},
	{41050, "welcome code invalid or expired", CategoryState},
	{41051, "chat has already begun, no welcome", CategoryState},
	{41053, "customer has not agreed to chat archiving", CategoryState},
	{42001, "access token expired", CategoryAuth},
	{43009, "corp not verified", CategoryPerm},
	{43012, "app needs a callback URL", CategoryPerm},
	{44001, "media empty", CategoryParam},
	{44004, "text content empty", CategoryParam},
	{45001, "media too large", CategoryParam},
	{45002, "content too long (text: 2048 bytes)", CategoryParam},
	{45007, "voice longer than 60 s", CategoryParam},
	{45009, "call frequency exceeded", CategoryFreq},
	{45029, "reply too large", CategoryParam},
	{45031, "secret too weak, to be reset", CategoryAuth},
	{45033, "too many concurrent calls, or one media_id fetched again and again", CategoryFreq},
	{45034, "URL needs http:// or https://", CategoryParam},
	{48001, "API function not authorised", CategoryPerm},
	{48002, "no permission for this API", CategoryPerm},
	{48003, "suite id illegal", CategoryPerm},
	{48004, "authorisation void", CategoryPerm},
	{48005, "API retired", CategoryPerm},
	{48006, "permission withdrawn after long disuse", CategoryPerm},
	{48007, "Kf account not authorised to this app", CategoryPerm},
	{50001, "redirect domain not trusted", CategoryPerm},
	{50002, "member out of range", CategoryPerm},
	{50003, "app disabled", CategoryPerm},
	{50006, "built-in app disabled", CategoryPerm},
	{60003, "department unknown", CategoryNotFound},
	{60011, "member, department or tag outside the app's permission", CategoryPerm},
	{60020, "caller's address not trusted (a change works after about a minute)", CategoryPerm},
	{60021, "userid outside the app's visible range", CategoryPerm},
	{60031, "this app may not call APIs", CategoryPerm},
	{60111, "userid unknown", CategoryNotFound},
	{60123, "department unknown", CategoryNotFound},
	{84061, "no such external contact relation", CategoryNotFound},
	{84074, "no external contact permission", CategoryPerm},
	{90200, "mini program appid missing", CategoryParam},
	{90206, "mini program not linked to the corp", CategoryPerm},
	{90207, "mini program appid illegal", CategoryParam},
	{90208, "mini program appid does not match", CategoryParam},
	{95000, "open_kfid illegal", CategoryNotFound},
	{95001, "send count limit: 5 after a customer message", CategoryLimit},
	{95002, "send time limit: 48 hours after the customer's last message", CategoryState},
	{95003, "number of customers reached (corp not verified or without Channels)", CategoryLimit},
	{95004, "open_kfid does not exist (deleted, or of another corp)", CategoryNotFound},
	{95005, "number of Kf accounts out of range", CategoryLimit},
	{95006, "account name illegal", CategoryParam},
	{95007, "sync token illegal or expired", CategoryState},
	{95008, "more than 10 menu items", CategoryLimit},
	{95009, "menu item type illegal", CategoryUnsupported},
	{95010, "not documented", CategoryNone},
	{95011, "corp is in joint mode, the token is from a standalone secret", CategoryPerm},
	{95012, "corp is in standalone mode, the token is from a joint secret", CategoryPerm},
	{95013, "session has ended", CategoryState},
	{95014, "userid is no servicer of the account, or not activated", CategoryState},
	{95015, "exclusive service already configured by the administrator", CategoryState},
	{95016, "state transition not allowed", CategoryState},
	{95017, "API switch is off", CategoryUnsupported},
	{95018, "session state does not allow API messages, or session older than 48 hours", CategoryState},
	{95019, "servicer has stopped or suspended receiving", CategoryState},
	{95020, "not documented", CategoryNone},
	{95021, "upgrade service not configured", CategoryState},
	{95022, "location type illegal", CategoryParam},
	{95023, "API switch is granted to a provider's app", CategoryPerm},
	{95024, "customer sent nothing in 48 hours (menu taps do not count)", CategoryState},
	{95025, "one business card in 48 hours", CategoryLimit},
	{95026, "Kf accounts poorly used, no new ones for now", CategoryLimit},
	{95027, "corp not verified: at most 10 accounts", CategoryLimit},
	{95028, "recall: msgid not found", CategoryNotFound},
	{95029, "recall: older than 2 minutes", CategoryState},
	{95030, "message type forbidden by the Kf component", CategoryUnsupported},
	{95031, "customer asked nothing in 48 hours", CategoryState},
	{95032, "history permission of the Kf component is void", CategoryPerm},
	{301002, "no permission for the given app", CategoryPerm},
	{301017, "voice upload must be AMR", CategoryParam},
	{830001, "upload by URL: bad URL", CategoryParam},
	{830002, "download or requested range over 20 MB", CategoryParam},
	{830003, "upload by URL: fetching failed", CategoryParam},
}
