package window

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// MsgID is the msgid of a command: 32 characters of [0-9a-zA-Z_-], the same for every attempt, replica and restart.
// The platform refuses a msgid it has seen on the account, which is what makes a repeated POST harmless.
//
// It is part of the contract, so that a team can know the msgid before it publishes:
//
//	base64url(sha256(decimal(len(team)) + ":" + team + commandID))[:32]
//
// len counts bytes. The length in front keeps ("a", "bc") and ("ab", "c") apart whatever bytes the names hold.
// The conversation is no part of it: a command id is unique within its team.
//
// https://developer.work.weixin.qq.com/document/path/94677
func MsgID(team, commandID string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(team)) + ":" + team + commandID))
	return base64.RawURLEncoding.EncodeToString(sum[:24]) // 24 bytes are 32 characters
}
