package printer

import (
	"io"
	"net/url"
	"path/filepath"
)

// DocsURL is the folder of the pages that describe the rules of a SARIF log.
const DocsURL = "https://github.com/meshpass/meshpass/blob/main/docs/"

// SARIFRule is a kind of result.
type SARIFRule struct {
	ID, Description, Page, Level string // Page is the page and the anchor below [DocsURL]; Level is error or warning
}

// SARIFResult is one result at a place of a file.
type SARIFResult struct {
	RuleID, Level string
	Fingerprint   string // the same in every run, regardless of lines; may be empty
	Problem
}

// The parts of SARIF 2.1.0 (OASIS standard, section 3) that our reports need.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string     `json:"id"`
		ShortDescription sarifText  `json:"shortDescription"`
		HelpURI          string     `json:"helpUri"`
		Default          sarifLevel `json:"defaultConfiguration"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"` // in the driver's rules
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// SARIF writes a SARIF 2.1.0 log, for code scanning. page describes the tool.
func SARIF(to io.Writer, tool, page string, rules []SARIFRule, results []SARIFResult) error {
	driver := sarifDriver{Name: tool, InformationURI: DocsURL + page, Rules: []sarifRule{}}
	index := map[string]int{}
	for i, r := range rules {
		index[r.ID] = i
		driver.Rules = append(driver.Rules, sarifRule{ID: r.ID, ShortDescription: sarifText{r.Description}, HelpURI: DocsURL + r.Page, Default: sarifLevel{r.Level}})
	}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	for _, r := range results {
		place := sarifPhysical{Artifact: sarifArtifact{fileURI(r.File)}}
		if r.Line > 0 {
			place.Region = &sarifRegion{r.Line, max(r.Column, 1)}
		}
		result := sarifResult{RuleID: r.RuleID, RuleIndex: index[r.RuleID], Level: r.Level, Message: sarifText{r.Message}, Locations: []sarifLocation{{place}}}
		if r.Fingerprint != "" {
			result.Fingerprints = map[string]string{"meshpass/v1": r.Fingerprint}
		}
		run.Results = append(run.Results, result)
	}
	return JSON(to, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// fileURI returns a relative reference for a relative path, so that code scanning finds
// the file in the repository.
func fileURI(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		u.Scheme = "file"
	}
	return u.String()
}
