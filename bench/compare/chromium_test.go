package compare

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/halfgrad/halfgrad/internal/require"
)

// harness is a page that shows another one in a frame of some width, and writes what
// the browser makes of it into its own body.
const harness = `<!doctype html><meta charset="utf-8"><body style="margin:0">
<script>
function look(frame) {
  const w = frame.contentWindow, d = frame.contentDocument, root = d.documentElement;
  const result = { dark: w.matchMedia("(prefers-color-scheme: dark)").matches, ground: w.getComputedStyle(d.body).backgroundColor,
    width: root.clientWidth, scroll: root.scrollWidth, loaded: w.performance.getEntriesByType("resource").map(e => e.name),
    figures: 0, wide: [], outside: [], overlapping: [] };
  for (const e of d.body.querySelectorAll("*")) {
    const r = e.getBoundingClientRect();
    if (!e.closest(".scroll table") && !e.closest("svg") && r.right > root.clientWidth + 0.5) result.wide.push(e.outerHTML.slice(0, 80));
  }
  for (const svg of d.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect(), texts = [];
    result.figures++;
    for (const t of svg.querySelectorAll("text")) {
      const r = t.getBoundingClientRect(), name = svg.getAttribute("aria-label") + ": " + t.textContent;
      if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1) result.outside.push(name);
      texts.push([r, name]);
    }
    // The boxes of two lines of text may touch: there is room above and below the letters.
    for (const [i, [a, name]] of texts.entries()) for (const [b, other] of texts.slice(i + 1)) {
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1 && y > 0.25 * Math.min(a.height, b.height)) result.overlapping.push(name + " and " + other);
    }
  }
  return result;
}
const frame = document.createElement("iframe");
frame.width = %d; frame.height = 900; frame.style.border = 0; frame.src = "/page";
frame.onload = () => {
  const result = look(frame), pre = document.createElement("pre");
  pre.id = "result"; pre.textContent = JSON.stringify(result);
  frame.remove(); document.body.append(pre);
};
document.body.append(frame);
</script>`

// TestChromium looks at the page in a browser, as wide as a phone and as a desktop, by
// day and by night: nothing is wider than the window, no text of a figure is outside of
// it or covers another, nothing is loaded, and the browser has nothing to complain of.
func TestChromium(t *testing.T) {
	if !require.Full() && !require.Listed("chromium") {
		t.Skipf("it starts a browser eight times: %s=full or %s=chromium runs it", require.EnvTest, require.Env)
	}
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		require.Missing(t, "chromium", "no Chromium here; in Debian: apt-get install chromium")
	}
	one := sampleReports()[:1]
	many := sampleReports()
	for range 3 { // more columns than there are colours
		many = append(many, sampleReports()...)
	}
	many[1].Machine.CPU = "A processor of a long name that goes on and on, and then on"
	for _, test := range []struct {
		name string
		page []byte
		dark []bool
	}{
		{"one report", pageOf(t, compared(t, one...)), []bool{false}},
		{"some reports", samplePage(t), []bool{false, true}},
		{"many reports", pageOf(t, compared(t, many...)), []bool{true}},
	} {
		for _, width := range []int{360, 1280} {
			grounds := map[bool]string{}
			for _, dark := range test.dark {
				name := fmt.Sprintf("%s, %d pixels, dark %v", test.name, width, dark)
				look := browse(t, program, test.page, width, dark)
				if look.Width != width || look.Scroll > width || len(look.Wide) > 0 {
					t.Errorf("%s: %d wide in a window of %d; beyond it are %q", name, look.Scroll, look.Width, look.Wide)
				}
				if look.Figures < 8 || len(look.Outside) > 0 || len(look.Overlapping) > 0 {
					t.Errorf("%s: of %d figures, outside are %q, overlapping %q", name, look.Figures, look.Outside, look.Overlapping)
				}
				if len(look.Loaded) > 0 {
					t.Errorf("%s: it loads %q", name, look.Loaded)
				}
				if look.Dark != dark {
					t.Errorf("%s: dark is %v", name, look.Dark)
				}
				grounds[dark] = look.Ground
			}
			if len(test.dark) > 1 && grounds[false] == grounds[true] {
				t.Errorf("%s: the ground is %s by day and by night", test.name, grounds[true])
			}
		}
	}
}

func pageOf(t *testing.T, c *Comparison) []byte {
	t.Helper()
	page, err := c.HTML()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// look is what the harness finds.
type look struct {
	Dark                               bool
	Ground                             string
	Width, Scroll, Figures             int
	Loaded, Wide, Outside, Overlapping []string
}

// browse shows a page in a browser. What it asks the server for, beyond the page, and
// what it writes on its console are errors.
func browse(t *testing.T, program string, page []byte, width int, dark bool) (l look) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/harness":
			fmt.Fprintf(w, harness, width)
		case "/page":
			w.Write(page)
		case "/favicon.ico": // the harness's
		default:
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.URL.String())
		}
	}))
	defer server.Close()
	scheme := map[bool]int{true: 0, false: 1}[dark]
	cmd := exec.Command(program, "--headless", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--no-proxy-server", "--user-data-dir="+t.TempDir(), "--enable-logging=stderr",
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), "--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom", server.URL+"/harness")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	if console := regexp.MustCompile(`.*:CONSOLE.*`).FindAllString(stderr.String(), -1); console != nil {
		t.Errorf("the browser complains: %q", console)
	}
	if asked != nil {
		t.Errorf("the browser asks for %q", asked)
	}
	m := regexp.MustCompile(`<pre id="result">(.*?)</pre>`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no result in\n%s\n%s", out, &stderr)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &l); err != nil {
		t.Fatal(err)
	}
	return l
}
