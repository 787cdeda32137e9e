package media

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// zipped is a ZIP of empty files.
func zipped(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil && name == "mimetype" {
			_, err = f.Write([]byte("application/epub+zip"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSniff(t *testing.T) {
	const office = "application/vnd.openxmlformats-officedocument."
	for _, c := range []struct{ name, head, want string }{
		{"jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"},
		{"png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"},
		{"half a png signature", "\x89PNG\r\n", TypeText}, // nothing else tells
		{"gif 87", "GIF87a\x01", "image/gif"},
		{"gif 89", "GIF89a\x01", "image/gif"},
		{"webp", "RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"wav", "RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"},
		{"riff of another kind", "RIFF\x24\x00\x00\x00ACON", TypeUnknown},
		{"bmp", "BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "image/bmp"},
		{"text about a car", "BMW is a car, and this is no picture of it", TypeText},
		{"tiff", "II*\x00\x08\x00\x00\x00", "image/tiff"},
		{"amr", "#!AMR\n\x3c\x91\x17", "audio/amr"},
		{"amr wide band", "#!AMR-WB\n\x24", "audio/amr-wb"},
		{"silk", "#!SILK_V3\x0c\x00", "audio/silk"},
		{"silk as WeChat writes it", "\x02#!SILK_V3\x0c\x00", "audio/silk"},
		{"shell script", "#!/bin/sh\necho", TypeText},
		{"mp3 with tags", "ID3\x03\x00", "audio/mpeg"},
		{"mp3 without", "\xff\xfb\x90\x64\x00", "audio/mpeg"},
		{"ogg", "OggS\x00\x02", "audio/ogg"},
		{"mp4", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "video/mp4"},
		{"mp4 of another brand", "\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", "video/mp4"},
		{"mov", "\x00\x00\x00\x14ftypqt  \x20\x05\x03\x00", "video/quicktime"},
		{"old mov", "\x00\x00\x07\xffmoov\x00\x00\x00\x6c", "video/quicktime"},
		{"3gp", "\x00\x00\x00\x18ftyp3gp4", "video/3gpp"},
		{"m4a", "\x00\x00\x00\x20ftypM4A ", "audio/mp4"},
		{"heic", "\x00\x00\x00\x18ftypheic", "image/heic"},
		{"webm", "\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "video/webm"},
		{"matroska", "\x1aE\xdf\xa3\x9fB\x86\x81\x01matroska", "video/x-matroska"},
		{"avi", "RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"},
		{"pdf", "%PDF-1.7\n%\xe2\xe3", "application/pdf"},
		{"zip", zipped(t, "a.txt", "b/c.png"), "application/zip"},
		{"empty zip", zipped(t), "application/zip"},
		{"docx", zipped(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml"), office + "wordprocessingml.document"},
		{"xlsx", zipped(t, "_rels/.rels", "xl/workbook.xml", "[Content_Types].xml"), office + "spreadsheetml.sheet"},
		{"pptx", zipped(t, "[Content_Types].xml", "ppt/presentation.xml"), office + "presentationml.presentation"},
		{"zip that has a folder word", zipped(t, "word/list.txt"), "application/zip"},
		{"epub", zipped(t, "mimetype", "META-INF/container.xml"), "application/epub+zip"},
		{"office before 2007", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "application/x-ole-storage"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed"},
		{"rar", "Rar!\x1a\x07\x01\x00", "application/vnd.rar"},
		{"gzip", "\x1f\x8b\x08\x00", "application/gzip"},
		{"rtf", `{\rtf1\ansi`, "application/rtf"},
		{"plain text", "hello", TypeText},
		{"chinese in UTF-8", "你好，世界", TypeText},
		{"chinese in GBK", "\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7", TypeText},
		{"UTF-16", "\xff\xfeh\x00i\x00", TypeText},
		{"json", ` {"errcode":40007,"errmsg":"invalid media_id"}`, TypeJSON},
		{"half of a json", `{"errcode":0,"errm`, TypeText},
		{"long json", `{"a":"` + strings.Repeat("x", sniffBytes) + `"}`, TypeJSON}, // its first value does not end
		{"long json of many", `{"a":1,` + strings.Repeat(`"b":2,`, sniffBytes) + `"c":3}`, TypeJSON},
		{"html", "<!DOCTYPE html><html>", TypeHTML},
		{"html after space", "\n <HTML><body>502", TypeHTML},
		{"xml", `<?xml version="1.0"?><svg/>`, TypeXML},
		{"picture that says it is html", "\xff\xd8\xff<html>", "image/jpeg"},
		{"noise", "\x00\x01\x02\x03", TypeUnknown},
		{"nothing", "", TypeUnknown},
		{"one byte", "\x00", TypeUnknown},
	} {
		if got := Sniff([]byte(c.head)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("RIFF\x24\x00\x00\x00WEBP"))
	f.Add([]byte(zipped(f, "[Content_Types].xml", "word/document.xml")))
	f.Fuzz(func(t *testing.T, head []byte) {
		got := Sniff(head)
		if got == "" || strings.ContainsAny(got, " \r\n;") || strings.Count(got, "/") != 1 {
			t.Errorf("got %q, want a plain type", got)
		}
		if again := Sniff(append(bytes.Clone(head[:min(len(head), sniffBytes)]), make([]byte, max(0, sniffBytes-len(head)))...)); len(head) >= sniffBytes && again != got {
			t.Errorf("what comes after the first %d bytes decides: %s, %s", sniffBytes, got, again)
		}
	})
}
