package main

import "github.com/spf13/cobra"

func newAudit() *cobra.Command {
	return newGroup("audit COMMAND", "Verify audit records, and report from them",
		`Verifies that audit records are as they were written, and reports from them.
docs/audit.md describes the chain of records, its key, and what it cannot show.`,
		newAuditVerify(), newAuditReport(), newAuditKeys())
}
