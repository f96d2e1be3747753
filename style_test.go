package meshpass_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Words that docs/glossary.md replaces and that have no other use in technical text. They may not be in a comment or a
// string of a Go file, and in no line of any other text.
var replacedWords = regexp.MustCompile(`(?i)\b(anew|likewise|whoever|whomever|whom|hence|lest|mend(s|ed|ing)?|in force|told|vouch(es|ed)?|believe[sd]?|heed(s|ed)?|stands|stood|judge[sd]?|slips?)\b`)

// Constructions that make a comment hard to read, beyond the words above: a few of them are right.
var oddConstructions = regexp.MustCompile(`(?i)\b(whatever|(of|in|by|from|to|for|with|at|on) which|stand|foreign|tells?|says|nobody|none|speaks?)\b|(^|[.:;!?] )What\b`)

// The documents of a recorded run, whose generation is the hash of their text.
const recordedTour = "extauthz/internal/policycli/replay/testdata/tour/"

// These figures may only improve: write the better figure here when the test says that it can be better.
const (
	maxOneWordNames     = 25.0 // per cent of the functions
	minMedianName       = 10   // letters
	maxOddConstructions = 0.5  // per 1000 words of comments
)

// The words of the glossary's right column are in no text of the repository.
func TestWords(t *testing.T) {
	for _, file := range texts(t, ".") {
		if file == "docs/glossary.md" || file == "style_test.go" || strings.HasPrefix(file, recordedTour) {
			continue
		}
		for _, line := range proseOf(t, file) {
			if word := replacedWords.FindString(line.text); word != "" {
				t.Errorf("%s:%d: %q: see the last table of docs/glossary.md: %s", file, line.number, word, strings.TrimSpace(line.text))
			}
		}
	}
}

// Names of functions say what they do, and comments read at once: the shares in product code do not get worse.
func TestNamesAndComments(t *testing.T) {
	var names []string
	oneWord, words, odd := 0, 0, 0
	for _, folder := range []string{"shared", "internal", "plugins", "extauthz"} {
		for _, file := range texts(t, folder) {
			if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "/testdata/") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range parsed.Decls {
				function, ok := declaration.(*ast.FuncDecl)
				if !ok || function.Name.Name == "main" || function.Name.Name == "init" {
					continue
				}
				names = append(names, function.Name.Name)
				if wordsOfName(function.Name.Name) == 1 {
					oneWord++
				}
			}
			for _, group := range parsed.Comments {
				for _, comment := range group.List {
					text := strings.TrimLeft(comment.Text, "/* ")
					words += len(regexp.MustCompile("[A-Za-z]+").FindAllString(text, -1))
					odd += len(oddConstructions.FindAllString(text, -1)) + len(replacedWords.FindAllString(text, -1))
				}
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return len(a) - len(b) })
	median := len(names[len(names)/2])
	share := 100 * float64(oneWord) / float64(len(names))
	perThousand := 1000 * float64(odd) / float64(words)
	t.Logf("%d functions: %.1f %% of one word, median %d letters; %d words of comments: %.1f odd per 1000", len(names), share, median, words, perThousand)
	if share > maxOneWordNames {
		t.Errorf("%.1f %% of the functions have a name of one word, want at most %v %%: use verb and object", share, maxOneWordNames)
	}
	if median < minMedianName {
		t.Errorf("the median function name has %d letters, want %d: use verb and object", median, minMedianName)
	}
	if perThousand > maxOddConstructions {
		t.Errorf("%.1f odd constructions in 1000 words of comments, want at most %v: write the subject first, one fact a sentence", perThousand, maxOddConstructions)
	}
}

func TestWordsOfName(t *testing.T) {
	for name, want := range map[string]int{"take": 1, "String": 1, "loadSeed": 2, "ServeHTTP": 2, "readJWKSFile": 2, "v2Key": 2} {
		if got := wordsOfName(name); got != want {
			t.Errorf("wordsOfName(%q) = %d, want %d", name, got, want)
		}
	}
}

// wordsOfName counts the words of a name in camel case. A run of capitals belongs to the word before it.
func wordsOfName(name string) int {
	count, afterLower := 1, false
	for _, letter := range name {
		if unicode.IsUpper(letter) && afterLower {
			count++
		}
		afterLower = unicode.IsLower(letter) || unicode.IsDigit(letter)
	}
	return count
}

// texts returns the files below a folder that people write, with slashes.
func texts(t *testing.T, folder string) (files []string) {
	t.Helper()
	kinds := []string{".go", ".md", ".yaml", ".yml", ".conf", ".sh"}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || entry.Name() == ".git"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
		case slices.Contains(kinds, filepath.Ext(path)), strings.HasPrefix(path, ".ci/"), slices.Contains([]string{"Makefile", "Kustomization"}, entry.Name()), strings.HasPrefix(entry.Name(), "Dockerfile"):
			files = append(files, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type line struct {
	number int
	text   string
}

// proseOf returns the lines of a file, and of a Go file those of its comments and strings.
func proseOf(t *testing.T, file string) (lines []line) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	add := func(number int, text string) {
		for i, part := range strings.Split(text, "\n") {
			lines = append(lines, line{number + i, part})
		}
	}
	if !strings.HasSuffix(file, ".go") {
		add(1, string(data))
		return lines
	}
	set := token.NewFileSet()
	source := set.AddFile(file, set.Base(), len(data))
	var scan scanner.Scanner
	scan.Init(source, data, func(at token.Position, message string) { t.Error(fmt.Sprint(at, ": ", message)) }, scanner.ScanComments)
	for {
		position, kind, literal := scan.Scan()
		switch kind {
		case token.EOF:
			return lines
		case token.COMMENT, token.STRING:
			add(source.Line(position), literal)
		default: // code
		}
	}
}
