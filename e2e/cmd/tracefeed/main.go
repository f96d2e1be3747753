// Command tracefeed shows that `meshpass trace` reads logs of any size in bounded memory: it makes logs as fast as
// they are read, and measures the program that reads them.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

// maxResident is what `meshpass trace` may take, in bytes.
const maxResident = 256 << 20

func main() {
	size := flag.Float64("gigabytes", 10, "how much is written to the standard input of meshpass trace")
	top := flag.Bool("top", false, "rank all decisions (--top) in place of the search for one transaction")
	flag.Parse()
	if err := run(int64(*size*1e9), *top); err != nil {
		fmt.Fprintln(os.Stderr, "tracefeed:", err)
		os.Exit(1)
	}
}

func run(size int64, top bool) error {
	program, err := repo.Bin("meshpass", "build")
	if err != nil {
		return err
	}
	args := []string{"trace", "-f", "-", wanted}
	if top {
		args = []string{"trace", "-f", "-", "--top", "3"}
	}
	cmd := exec.Command(program, args...)
	var answer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	written, writeErr := writeLogs(stdin, size)
	if err := cmp.Or(writeErr, stdin.Close(), cmd.Wait()); err != nil {
		return errors.Join(err, fmt.Errorf("meshpass %s", strings.Join(args, " ")))
	}
	took := time.Since(began)
	fmt.Printf("%s\n", answer.String())
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the operating system does not say how much memory a program took")
	}
	resident := usage.Maxrss * 1024
	fmt.Printf("%.2f GB in %.0f s: %.0f MB/s, %.1f s of CPU; %d MiB resident at most, of %d MiB\n", float64(written)/1e9, took.Seconds(),
		float64(written)/1e6/took.Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), resident>>20, maxResident>>20)
	switch {
	case resident > maxResident:
		return errors.New("it took too much memory")
	case !top && !strings.Contains(answer.String(), "denied at ns/shop/sa/inventory: no_rule"):
		return errors.New("it did not find the transaction")
	}
	return nil
}

// wanted is the transaction in the middle of the logs.
const wanted = "01a22aea-e353-79a5-977c-bc4e27c98ba4"

// template is a request as its audit records and an access log have it. The %d are its number.
const template = `{"time":"2026-11-30T05:26:06.419981628Z","kind":"issue","id":"01a22aea-e353-7f08-0000-%012[1]d","txn":"%[2]s","callee":"edge/orders-jwt","method":"GET","path":"/jwt/tenants/globex/orders/%[1]d","host":"shop.example:8080","sub":"demo:user-%[3]d","iss":"https://tyk.demo.meshpass.dev","decision":"allow","reason":"issued","duration_us":79}
{"authority":"orders.shop.svc.cluster.local:8080","bytes_received":0,"bytes_sent":119,"connection_termination_details":null,"decision_id":"01a22aea-e355-7f08-0000-%012[1]d","downstream_local_address":"10.1.7.11:8080","downstream_peer":"spiffe://cluster.local/ns/edge/sa/tyk-gateway","downstream_remote_address":"10.1.7.3:0","duration":4,"method":"GET","path":"/tenants/globex/orders/%[1]d","policy":"orders","protocol":"HTTP/1.1","reason":"rule_allowed","request_id":"580b0b84-0b18-4828-88b1-%012[1]d","requested_server_name":"outbound_.80_._.orders.shop.svc.cluster.local","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":"default","rule":"read-own-tenant","start_time":"2026-11-30T05:26:06.421Z","sub":"demo:user-%[3]d","txn":"%[2]s","upstream_cluster":"inbound|8080||","upstream_host":"10.1.7.11:9080","upstream_local_address":"127.0.0.6:59835","upstream_service_time":"2","upstream_transport_failure_reason":null,"user_agent":"curl/7.88.1","x_forwarded_for":"10.1.7.3"}
{"time":"2026-11-30T05:26:06.421877Z","kind":"check","id":"01a22aea-e355-7f08-0000-%012[1]d","txn":"%[2]s","request_id":"580b0b84-0b18-4828-88b1-%012[1]d","listener":"sidecar","caller":"ns/edge/sa/tyk-gateway","callee":"ns/shop/sa/orders","method":"GET","path":"/tenants/globex/orders/%[1]d","host":"orders.shop.svc.cluster.local:8080","sub":"demo:user-%[3]d","iss":"https://tyk.demo.meshpass.dev","decision":"allow","reason":"rule_allowed","policy":"orders","folder":"policies","rule":"read-own-tenant","duration_us":323,"generation":"9eb52295fd59","inputs":{"claims.scope":"orders.read","claims.tctx.tenant":"acme"}}
{"time":"2026-11-30T05:26:06.424382Z","kind":"check","id":"01a22aea-e358-7f08-0000-%012[1]d","txn":"%[2]s","request_id":"580b0b84-0b18-4828-88b1-%012[1]d","listener":"sidecar","caller":"ns/shop/sa/orders","callee":"ns/shop/sa/inventory","method":"GET","path":"/tenants/globex/items/%[1]d","host":"inventory.shop.svc.cluster.local:8080","sub":"demo:user-%[3]d","iss":"https://tyk.demo.meshpass.dev","decision":"deny","reason":"no_rule","duration_us":172,"generation":"9eb52295fd59","inputs":{"claims.scope":"orders.read","claims.tctx.tenant":"acme"}}
{"time":"2026-11-30T05:26:06.425Z","level":"INFO","msg":"served","service":"orders","method":"GET","path":"/tenants/globex/orders/%[1]d","request_id":"580b0b84-0b18-4828-88b1-%012[1]d"}
`

// users is more than the ranking keeps.
const users = 250_000

// writeLogs writes requests until there are size bytes. Only the numbers of a request change, in place.
func writeLogs(to io.Writer, size int64) (written int64, err error) {
	out := bufio.NewWriterSize(to, 1<<20)
	perRequest := int64(len(request(0, "")))
	middle := size / perRequest / 2
	for n := int64(0); written < size; n++ {
		txn := fmt.Sprintf("01a22aea-e353-79a5-0000-%012d", n)
		if n == middle {
			txn = wanted
		}
		count, err := io.WriteString(out, request(n, txn))
		if err != nil {
			return written, err
		}
		written += int64(count)
	}
	return written, out.Flush()
}

func request(n int64, txn string) string { return fmt.Sprintf(template, n, txn, n%users) }
