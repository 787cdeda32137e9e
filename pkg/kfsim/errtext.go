package kfsim

// callErrTexts are errmsg texts of the calls around accounts, customers, knowledge and media. None has
// been seen from the platform; they follow the meaning in its table of codes.
//
// https://developer.work.weixin.qq.com/document/path/90313
func callErrTexts() map[int]string {
	return map[int]string{
		40002:  "invalid grant_type",
		40003:  "invalid userid",
		40066:  "invalid department list",
		40125:  "invalid appsecret",
		40164:  "invalid ip, not in whitelist",
		40201:  "content is forbidden",
		41009:  "userid missing",
		41035:  "external_userid missing",
		41051:  "chat has started",
		50003:  "app disabled",
		50006:  "built-in app disabled",
		60003:  "department not found",
		60011:  "no privilege to access the member",
		60021:  "userid not in visible range",
		60123:  "invalid department id",
		830001: "invalid upload url",
		830003: "fetch url failed",
		95003:  "customer count limit",
		95005:  "kf account count out of range",
		95006:  "invalid kf account name",
		95011:  "corp is in joint mode",
		95012:  "corp is in standalone mode",
		95015:  "exclusive service is configured",
		95017:  "api switch is off",
		95021:  "upgrade service is not configured",
		95023:  "api switch is granted to a provider app",
		95026:  "kf accounts are used too little",
		95027:  "unverified corp kf account count limit",
		95030:  "msgtype is forbidden by the component",
		95031:  "customer asked nothing in 48 hours",
		95032:  "history permission of the component is void",
	}
}
