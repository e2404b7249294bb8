package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browserCrashes is how often Chromium may, before it is the page's fault.
const browserCrashes = 3

// browser runs a headless Chromium on the page. Only loopback is asked.
func browser(t *testing.T, url string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: lab/install-packages unit")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	flags := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1100,900",
	}, append(args, url)...)
	for range browserCrashes {
		out, err := exec.CommandContext(ctx, path, append(flags, "--user-data-dir="+t.TempDir())...).Output()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return string(out)
		case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSEGV:
			t.Logf("chromium crashed, which it does now and then: %v", err)
		default:
			t.Fatalf("chromium: %v", err)
		}
	}
	t.Fatalf("chromium crashed %d times", browserCrashes)
	return ""
}

// The page as a browser has it: complete, with its own style, light and dark.
// SCREENSHOTS names a directory to keep the pictures in.
func TestPageInABrowser(t *testing.T) {
	at, _ := serve(t, loopback, source())
	url := fmt.Sprintf("http://%v/", at)
	document := browser(t, url, "--dump-dom")
	for _, want := range []string{`<h1 id="state">synced (alone)</h1>`, `<section id="peers">`, `<section id="module">`, `<section id="troubles">`, "</footer>"} {
		if !strings.Contains(document, want) {
			t.Errorf("no %q in what the browser made of it:\n%s", want, document)
		}
	}
	directory := os.Getenv("SCREENSHOTS")
	if directory == "" {
		directory = t.TempDir()
	}
	brightness := map[string]uint32{}
	for name, args := range map[string][]string{"light": nil, "dark": {"--blink-settings=preferredColorScheme=0"}} {
		file := filepath.Join(directory, "status-"+name+".png")
		browser(t, url, append(args, "--screenshot="+file)...)
		brightness[name] = corner(t, file)
	}
	if brightness["light"] < 0xe000 || brightness["dark"] > 0x3000 {
		t.Errorf("background: %x", brightness)
	}
}

// corner returns how bright a picture is where there is nothing but background.
func corner(t *testing.T, file string) uint32 {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := picture.At(2, 2).RGBA()
	return (r + g + b) / 3
}
