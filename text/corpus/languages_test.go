package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/internal/testkit"
)

const smallUDHR = `<?xml version="1.0" encoding="UTF-8"?>
<udhr iso639-3='grc' n='Greek (small)' xmlns="http://efele.net/udhr">
  <title>Οικουμενική</title>
  <article number="1"><title>Άρθρο 1</title>
    <para>Όλοι οι
      άνθρωποι</para></article>
</udhr>`

// allLanguages reads all of a collection.
func allLanguages(t *testing.T, from string) (all []Language, err error) {
	t.Helper()
	for l, err := range Languages(from) {
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	return all, nil
}

func TestLanguages(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"udhr_ell.xml": smallUDHR, "notes.pdf": "no", "rus.txt": "мир\n", ".hidden.txt": "x", "one.md": "1 2 3"}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for _, name := range []string{"udhr_ell.xml", "notes.pdf", "one.md", "rus.txt", ".hidden.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: "a/" + name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "all.tar.gz")
	if err := os.WriteFile(archive, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	ell := Language{"ell", "Greek (small)", "Greek", "Οικουμενική\nΆρθρο 1\nΌλοι οι άνθρωποι\n"}
	one, rus := Language{"one", "one", "", "1 2 3"}, Language{"rus", "rus", "Cyrillic", "мир\n"}
	got, err := allLanguages(t, archive)
	if d := cmp.Diff([]Language{ell, one, rus}, got); d != "" || err != nil {
		t.Errorf("archive: %v (-want +got):\n%s", err, d)
	}
	got, err = allLanguages(t, dir)
	if d := cmp.Diff([]Language{one, rus, ell}, got); d != "" || err != nil {
		t.Errorf("folder: %v (-want +got):\n%s", err, d)
	}
	for range Languages(archive) {
		break
	}
	if _, err := allLanguages(t, t.TempDir()); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.xml"), []byte("<udhr><para>x</udhr>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := allLanguages(t, dir); err == nil || !strings.Contains(err.Error(), "bad.xml") {
		t.Errorf("broken XML: got %v", err)
	}
}

func TestLanguagesUDHR(t *testing.T) {
	all, err := allLanguages(t, testkit.Data(t, "text/udhr_xml.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for _, l := range all {
		scripts[l.Key] = l.Script
	}
	if len(all) < 400 || scripts["eng"] != "Latin" || scripts["rus"] != "Cyrillic" || scripts["cmn_hans"] != "Han" || scripts["hin"] != "Devanagari" {
		t.Errorf("got %d languages, of them English %q, Russian %q, Chinese %q, Hindi %q", len(all), scripts["eng"], scripts["rus"], scripts["cmn_hans"], scripts["hin"])
	}
}

// FuzzUDHR: no input makes the reader panic or keep more than it was given.
func FuzzUDHR(f *testing.F) {
	f.Add([]byte(smallUDHR))
	f.Add([]byte("<udhr n='x'><title>&#x41;"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l Language
		if l.readUDHR(data) == nil && len(l.Text) > 4*len(data)+1 {
			t.Errorf("%d bytes became %d", len(data), len(l.Text))
		}
	})
}
