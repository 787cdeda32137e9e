package kfapi

import (
	"encoding/json"
	"fmt"
)

// The parts of an entry of the knowledge base.
type (
	// KnowledgeQuestion is a question of 1–200 characters.
	KnowledgeQuestion struct {
		Text KnowledgeText `json:"text"`
	}
	// KnowledgeText is the text of a question or an answer.
	KnowledgeText struct {
		Content string `json:"content"`
	}
	// SimilarQuestions is up to 100 questions with the same answer.
	SimilarQuestions struct {
		Items []KnowledgeQuestion `json:"items"`
	}
	// KnowledgeAnswer is a text of 1–500 characters and up to 4 attachments.
	KnowledgeAnswer struct {
		Text        KnowledgeText         `json:"text"`
		Attachments []KnowledgeAttachment `json:"attachments,omitempty"`
	}
	// KnowledgeAttachment goes with an answer. MsgType is "image", "video", "link" or "miniprogram", and the field of that
	// name is set.
	KnowledgeAttachment struct {
		MsgType     string                `json:"msgtype"`
		Image       *KnowledgeFile        `json:"image,omitempty"`
		Video       *KnowledgeFile        `json:"video,omitempty"`
		Link        *KnowledgeLink        `json:"link,omitempty"`
		Miniprogram *KnowledgeMiniprogram `json:"miniprogram,omitempty"`
	}
	// KnowledgeFile is a picture or a video: requests have the id of an uploaded one, lists its name.
	KnowledgeFile struct {
		MediaID string `json:"media_id,omitempty"`
		Name    string `json:"name,omitempty"`
	}
	// KnowledgeLink is a page.
	KnowledgeLink struct {
		Title  string `json:"title,omitempty"`
		PicURL string `json:"pic_url,omitempty"` // also read from picurl
		Desc   string `json:"desc,omitempty"`
		URL    string `json:"url,omitempty"`
	}
	// KnowledgeMiniprogram is a page of a mini program.
	KnowledgeMiniprogram struct {
		Title        string `json:"title,omitempty"`
		ThumbMediaID string `json:"thumb_media_id,omitempty"` // of an uploaded image; in requests only
		AppID        string `json:"appid,omitempty"`
		PagePath     string `json:"pagepath,omitempty"`
	}
)

// UnmarshalJSON takes the picture under pic_url and picurl.
func (l *KnowledgeLink) UnmarshalJSON(b []byte) error {
	type plain KnowledgeLink
	var other struct {
		PicURL string `json:"picurl"`
	}
	if err := json.Unmarshal(b, (*plain)(l)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &other); err != nil {
		return err
	}
	if l.PicURL == "" {
		l.PicURL = other.PicURL
	}
	return nil
}

// MarshalJSON writes no null, which nobody documents.
func (s SimilarQuestions) MarshalJSON() ([]byte, error) {
	type plain SimilarQuestions
	if s.Items == nil {
		s.Items = []KnowledgeQuestion{}
	}
	return encode(plain(s))
}

func checkIntent(question *KnowledgeQuestion, similar *SimilarQuestions, answers []KnowledgeAnswer) error {
	if question != nil {
		if err := checkChars("question.text.content", question.Text.Content, 1, maxQuestion); err != nil {
			return err
		}
	}
	if similar != nil {
		if err := checkCount("similar_questions.items", len(similar.Items), 0, maxSimilar); err != nil {
			return err
		}
		for i, q := range similar.Items {
			field := fmt.Sprintf("similar_questions.items[%d].text.content", i)
			if err := checkChars(field, q.Text.Content, 1, maxQuestion); err != nil {
				return err
			}
		}
	}
	for i, a := range answers {
		if err := a.check(fmt.Sprintf("answers[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (a KnowledgeAnswer) check(path string) error {
	err := first(checkChars(path+".text.content", a.Text.Content, 1, maxAnswer),
		checkCount(path+".attachments", len(a.Attachments), 0, maxAttachments))
	if err != nil {
		return err
	}
	for i, attachment := range a.Attachments {
		if err := attachment.check(fmt.Sprintf("%s.attachments[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (a KnowledgeAttachment) check(path string) error {
	there := map[string]bool{"image": a.Image != nil, "video": a.Video != nil, "link": a.Link != nil, "miniprogram": a.Miniprogram != nil}
	has, known := there[a.MsgType]
	if !known {
		return &LimitError{Field: path + ".msgtype", Why: "must be image, video, link or miniprogram"}
	}
	for name, has := range there {
		if has && name != a.MsgType {
			return &LimitError{Field: path + "." + name, Why: "does not belong to the msgtype"}
		}
	}
	switch {
	case !has:
		return &LimitError{Field: path + "." + a.MsgType, Why: "is missing"}
	case a.Image != nil:
		return checkSize(path+".image.media_id", a.Image.MediaID, 1, maxMediaID)
	case a.Video != nil:
		return checkSize(path+".video.media_id", a.Video.MediaID, 1, maxMediaID)
	case a.Miniprogram != nil:
		return checkSize(path+".miniprogram.thumb_media_id", a.Miniprogram.ThumbMediaID, 0, maxMediaID)
	}
	return nil
}
