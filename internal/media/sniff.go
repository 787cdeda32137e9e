package media

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
)

// Types that are more than a signature.
const (
	TypeUnknown = "application/octet-stream"
	TypeText    = "text/plain"
	TypeHTML    = "text/html"
	TypeXML     = "text/xml"
	TypeJSON    = "application/json"
	typeZIP     = "application/zip"
	typeMP4     = "video/mp4"
)

// sniffBytes is how much of a file is looked at. The names in a ZIP that tell an office document apart are in it.
const sniffBytes = 8 << 10

// signature is what files of a type begin with.
type signature struct {
	at    int // bytes before magic
	magic string
	also  string // right after 4 bytes after magic, as RIFF has it
	typ   string
}

func signatures() []signature {
	return []signature{
		{0, "\xff\xd8\xff", "", "image/jpeg"},
		{0, "\x89PNG\r\n\x1a\n", "", "image/png"},
		{0, "GIF87a", "", "image/gif"},
		{0, "GIF89a", "", "image/gif"},
		{0, "RIFF", "WEBP", "image/webp"},
		{0, "II*\x00", "", "image/tiff"},
		{0, "MM\x00*", "", "image/tiff"},
		{0, "#!AMR-WB\n", "", "audio/amr-wb"},
		{0, "#!AMR\n", "", "audio/amr"},
		{0, "#!SILK_V3", "", "audio/silk"},
		{0, "\x02#!SILK_V3", "", "audio/silk"}, // as WeChat writes it
		{0, "RIFF", "WAVE", "audio/wav"},
		{0, "ID3", "", "audio/mpeg"},
		{0, "OggS", "", "audio/ogg"},
		{0, "fLaC", "", "audio/flac"},
		{0, "RIFF", "AVI ", "video/x-msvideo"},
		{0, "FLV\x01", "", "video/x-flv"},
		{4, "moov", "", "video/quicktime"}, // before there was ftyp
		{4, "mdat", "", "video/quicktime"},
		{4, "wide", "", "video/quicktime"},
		{0, "%PDF-", "", "application/pdf"},
		{0, "PK\x05\x06", "", typeZIP},                                           // an empty one
		{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", "application/x-ole-storage"}, // Office before 2007
		{0, "7z\xbc\xaf\x27\x1c", "", "application/x-7z-compressed"},
		{0, "Rar!\x1a\x07", "", "application/vnd.rar"},
		{0, "\x1f\x8b\x08", "", "application/gzip"},
		{0, "{\\rtf", "", "application/rtf"},
	}
}

// Sniff says what type a file is, from its first bytes alone; more than 8 KiB are not looked at. Everything that is no
// known type and holds no binary is [TypeText]; what is left is [TypeUnknown]. It proves nothing: a file may begin like one
// type and be another.
func Sniff(head []byte) string {
	head = head[:min(len(head), sniffBytes)]
	for _, s := range signatures() {
		if s.fits(head) {
			return s.typ
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return zipType(head)
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return brandType(string(head[8:12]))
	case bytes.HasPrefix(head, []byte("\x1aE\xdf\xa3")):
		if bytes.Contains(head[:min(len(head), 64)], []byte("webm")) {
			return "video/webm"
		}
		return "video/x-matroska"
	case isBMP(head):
		return "image/bmp"
	case isMP3(head):
		return "audio/mpeg"
	}
	return textType(head)
}

func (s signature) fits(head []byte) bool {
	end := s.at + len(s.magic)
	return len(head) >= end && string(head[s.at:end]) == s.magic &&
		(s.also == "" || len(head) >= end+4+len(s.also) && string(head[end+4:end+4+len(s.also)]) == s.also)
}

// brandType tells the relatives of MP4 apart by their major brand.
func brandType(brand string) string {
	switch {
	case brand == "qt  ":
		return "video/quicktime"
	case strings.HasPrefix(brand, "3gp"):
		return "video/3gpp"
	case strings.HasPrefix(brand, "M4A"):
		return "audio/mp4"
	case slices.Contains([]string{"heic", "heix", "heim", "heis", "mif1"}, brand):
		return "image/heic"
	case brand == "avif":
		return "image/avif"
	}
	return typeMP4
}

// zipType tells apart what is packed as ZIP, by the names that stand in it. An office document whose names come late is a
// ZIP to us.
func zipType(head []byte) string {
	const ooxml, first = "application/vnd.openxmlformats-officedocument.", 30 // a local header's length
	if len(head) > first+8 && bytes.HasPrefix(head[first:], []byte("mimetype")) {
		rest := head[first+8:]
		for _, typ := range []string{"application/epub+zip", "application/vnd.oasis.opendocument.text",
			"application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.presentation"} {
			if bytes.HasPrefix(rest, []byte(typ)) {
				return typ
			}
		}
	}
	if !bytes.Contains(head, []byte("[Content_Types].xml")) && !bytes.Contains(head, []byte("_rels/")) {
		return typeZIP
	}
	for folder, typ := range map[string]string{"word/": "wordprocessingml.document", "xl/": "spreadsheetml.sheet", "ppt/": "presentationml.presentation"} {
		if zipHas(head, folder) {
			return ooxml + typ
		}
	}
	return typeZIP
}

// zipHas reports whether the name of an entry begins so.
func zipHas(head []byte, folder string) bool {
	for rest := head; ; {
		i := bytes.Index(rest, []byte("PK\x03\x04"))
		if i < 0 || len(rest) < i+30 {
			return false
		}
		rest = rest[i+30:]
		if bytes.HasPrefix(rest, []byte(folder)) {
			return true
		}
	}
}

// isBMP wants more than two letters: a text may begin with BM.
func isBMP(head []byte) bool {
	if len(head) < 18 || string(head[:2]) != "BM" || !bytes.Equal(head[6:10], make([]byte, 4)) {
		return false
	}
	return slices.Contains([]uint32{12, 40, 52, 56, 64, 108, 124}, binary.LittleEndian.Uint32(head[14:]))
}

// isMP3 knows a frame of MPEG audio, layer III, which is what begins an MP3 without tags.
func isMP3(head []byte) bool {
	return len(head) >= 4 && head[0] == 0xff && head[1]&0xe6 == 0xe2 && head[1]&0x18 != 0x08 && head[2]&0xf0 != 0xf0 && head[2]&0x0c != 0x0c
}

// textType looks at what has no signature. Text need not be UTF-8: much of it is GBK.
func textType(head []byte) string {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) { // UTF-16
		return TypeText
	}
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b {
			return TypeUnknown
		}
	}
	start := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	word := strings.ToLower(string(start[:min(len(start), 16)]))
	switch {
	case len(head) == 0:
		return TypeUnknown
	case strings.HasPrefix(word, "<!doctype html"), strings.HasPrefix(word, "<html"):
		return TypeHTML
	case strings.HasPrefix(word, "<?xml"):
		return TypeXML
	case isJSON(start, len(head) == sniffBytes):
		return TypeJSON
	}
	return TypeText
}

// isJSON knows an object or an array. Of one that was cut off it believes the first member.
func isJSON(b []byte, cut bool) bool {
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return false
	}
	if !cut {
		return json.Valid(b)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	for range 2 {
		if _, err := d.Token(); err != nil {
			return false
		}
	}
	return true
}

// isText reports whether a type is one of those that an error may have.
func isText(typ string) bool { return strings.HasPrefix(typ, "text/") || typ == TypeJSON }
