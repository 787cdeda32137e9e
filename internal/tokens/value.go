package tokens

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// Value is an access token as the tokenkeeper published it. The zero Value is no token.
type Value struct {
	Token      service.Secret // revealed, it goes into the query parameter access_token and nowhere else
	Generation uint64         // rises with each refresh
	Hash       string         // of Token, see Hash; may be logged
	Obtained   time.Time      // by the tokenkeeper's clock
	Expires    time.Time      // by the tokenkeeper's clock; the platform may refuse the token earlier
}

// Hash names a token in reports and logs: the first 8 hex digits of its SHA-256.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}

// maxGeneration is the largest integer that every JSON reader reads exactly.
const maxGeneration = 1<<53 - 1

// valueOf refuses what no tokenkeeper can have written.
func valueOf(t events.AccessToken) (Value, error) {
	switch {
	case t.Token == "":
		return Value{}, malformed("no token in it")
	case t.Hash != Hash(t.Token):
		return Value{}, malformed("the hash is not the token's")
	case t.Generation == 0 || t.Generation >= maxGeneration:
		return Value{}, malformed("the generation is out of range")
	}
	return Value{
		Token: service.NewSecret(t.Token), Generation: t.Generation, Hash: t.Hash, Obtained: t.Obtained, Expires: t.Expires,
	}, nil
}
