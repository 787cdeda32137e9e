// Package tokens is the access token as its users see it: read from the bucket kf_tokens, kept in memory, replaced when
// the tokenkeeper has a newer one, and reported when the platform refuses it.
//
// A service makes one [Watcher] a credential, runs it, and makes its calls in [Watcher.Do], which repeats a call once with
// a newer token when the platform refused the first. The copy in memory stays in use while the bus is away, and after the
// token should have expired too: only the platform knows when it is dead.
//
// The format of the bucket's values is written and read here and nowhere else.
//
// It must not know: corp secrets, and how a token is fetched. Those are the tokenkeeper's alone.
package tokens
