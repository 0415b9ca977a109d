package core

import "testing"

// The test vectors have many more.
func TestLocateSurface(t *testing.T) {
	for _, tt := range []struct{ base, url, want string }{
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api", SurfaceBackground},
		{"https://chatgpt.com/backend-api", "https://ChatGPT.com:443/backend-api/codex/models?x=/../y#z", SurfaceModels},
		{"https://chatgpt.com:443", "https://chatgpt.com/files/", SurfaceFileUpload},
		{"http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x/codex/responses", SurfaceResponses},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/@me", SurfaceBackground},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/%2e%2e%2f", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/..;x/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/x%2F..y;z", SurfaceBackground},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-apis", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend%2Dapi/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api%2ffiles", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/.%2E/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com./backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com:80/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "http://chatgpt.com/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com@evil.example/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "https://evil.example?@chatgpt.com/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "https://chatgpt.com\\@evil.example/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "/backend-api/files", ""},
		{"https://chatgpt.com/backend-api", "", ""},
	} {
		s, inside, err := LocateSurface(tt.base, tt.url)
		if err != nil || inside != (tt.want != "") || s.Name != tt.want {
			t.Errorf("%s below %s: got %q, %t, %v; want %q", tt.url, tt.base, s.Name, inside, err, tt.want)
		}
	}
	for _, base := range []string{"", "chatgpt.com/backend-api", "ftp://chatgpt.com", "https://user@chatgpt.com", "https://chatgpt.com?x"} {
		if _, inside, err := LocateSurface(base, "https://chatgpt.com/"); inside || Code(err) != CodeInvalidBaseURL {
			t.Errorf("the base URL %q: %t, %v", base, inside, err)
		}
	}
}

// Wherever the backend is, a surface's path is below it.
func TestLocateSurfaceOfEveryPath(t *testing.T) {
	for _, base := range []string{"https://chatgpt.com/backend-api", "http://127.0.0.1:8080", "https://x/api/codex"} {
		for _, s := range Surfaces() {
			got, inside, err := LocateSurface(base, base+s.Path)
			if want := MatchSurface(s.Path); err != nil || !inside || got != want {
				t.Errorf("%s%s: got %+v, %t, %v; want %+v", base, s.Path, got, inside, err, want)
			}
		}
	}
}
