package ingress

// Read takes a decrypted callback, XML or JSON, apart as the ingress does, for tools that explain what it would do. get
// returns the text of the first element of that name under the root, in any case, and "" if there is none. An error means
// that the ingress refuses such content; it quotes nothing of it.
func Read(plain []byte) (get func(name string) string, err error) {
	doc, err := parseInto(nil, plain)
	if err != nil {
		return nil, err
	}
	return doc.get, nil
}

// PlainQuery reports whether the ingress takes a query as the platform's: each parameter once, in its own characters, and
// nothing beside or between them. check is for the GET that has an echostr.
func PlainQuery(raw string, check bool) bool {
	_, ok := parseParams(raw, check)
	return ok
}
