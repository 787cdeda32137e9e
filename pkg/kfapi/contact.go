package kfapi

import (
	"context"
	"net/url"
	"strings"
)

const (
	maxScene      = 32
	maxSceneParam = 128
)

// AddContactWayRequest asks for a link to an account.
type AddContactWayRequest struct {
	OpenKfID string `json:"open_kfid"`
	// Scene is up to 32 of [0-9a-zA-Z_-] and comes back in EnterSession.Scene. Without one the link takes no scene_param.
	Scene string `json:"scene,omitempty"`
}

// Validate checks every documented limit. Its error is a *LimitError.
func (r AddContactWayRequest) Validate() error {
	err := first(checkID("open_kfid", r.OpenKfID), checkSize("scene", r.Scene, 0, maxScene))
	if err == nil && !only(r.Scene, lower+upper+digits+"_-") {
		err = &LimitError{Field: "scene", Why: "must be of letters, digits, _ and -"}
	}
	return err
}

// AddContactWayResponse is a link.
type AddContactWayResponse struct {
	URL string `json:"url"` // for customers, as it is: see ContactURL
	Reply
}

func (r *AddContactWayResponse) missing() string { return ifEmpty(r.URL, "url") }

// AddContactWay makes a link by which customers enter a chat with the account; print it, or show it as a QR code. It may
// be repeated: links made before go on working.
//
// https://developer.work.weixin.qq.com/document/path/94665
func (c *Client) AddContactWay(ctx context.Context, accessToken string, req AddContactWayRequest) (AddContactWayResponse, error) {
	return post[AddContactWayResponse](ctx, c, accessToken, "kf/add_contact_way", req)
}

// ContactURL appends a scene_param of 1–128 bytes to a link of AddContactWay, whose request had a Scene; it comes back in
// EnterSession.SceneParam as it is given here. The link itself must not be altered, or the customer enters without a scene.
// Errors are a *LimitError: what is no link with enc_scene, has a scene_param already, or is of the old kind (encScene).
//
// https://developer.work.weixin.qq.com/document/path/94665
func ContactURL(link, sceneParam string) (string, error) {
	u, err := url.Parse(link)
	bad := func(why string) (string, error) { return "", &LimitError{Field: "link", Why: why} }
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Contains(link, "#") {
		return bad("is no link of add_contact_way")
	}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return bad("has a broken query")
	case query.Has("encScene"):
		return bad("has the old encScene, which takes no scene_param; make a new link with add_contact_way")
	case query.Get("enc_scene") == "":
		return bad("has no enc_scene; make one with add_contact_way")
	case query.Has("scene_param"):
		return bad("has a scene_param already")
	}
	if err := checkSize("scene_param", sceneParam, 1, maxSceneParam); err != nil {
		return "", err
	}
	return link + "&scene_param=" + strings.ReplaceAll(url.QueryEscape(sceneParam), "+", "%20"), nil
}
