// Command predict asks a server by REST, with Go's standard library alone.
//
//	cd docs/examples/go && go run . [-server http://localhost:8501] [-model flowers] FILE...
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

// content is a file; encoding/json writes its bytes as base64.
type content struct {
	B64 []byte `json:"b64"`
}

type instance struct {
	ImageBytes content `json:"image_bytes"`
}

type request struct {
	Signature string     `json:"signature_name"`
	Instances []instance `json:"instances"`
}

type prediction struct {
	Label         string    `json:"label"`
	Classes       []string  `json:"classes"`
	Probabilities []float64 `json:"probabilities"`
}

// response holds predictions, or what is wrong with the request.
type response struct {
	Predictions []prediction `json:"predictions"`
	Error       string       `json:"error"`
}

// predict returns the answers, in the order of the files.
func predict(client *http.Client, server, model string, files []string) ([]prediction, error) {
	asked := request{Signature: "serving_default"}
	for _, file := range files {
		image, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		asked.Instances = append(asked.Instances, instance{content{image}})
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("%s/v1/models/%s:predict", server, url.PathEscape(model))
	answer, err := client.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var told response
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		return nil, fmt.Errorf("%s: %w", answer.Status, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", answer.Status, told.Error)
	}
	if len(told.Predictions) != len(files) {
		return nil, fmt.Errorf("%d answers for %d files", len(told.Predictions), len(files))
	}
	return told.Predictions, nil
}

func main() {
	server := flag.String("server", "http://localhost:8501", "address of the REST port")
	model := flag.String("model", "flowers", "name of the model")
	timeout := flag.Duration("timeout", 30*time.Second, "for the whole request")
	flag.Parse()
	answers, err := predict(&http.Client{Timeout: *timeout}, *server, *model, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i, answer := range answers {
		most := 0.0
		for _, probability := range answer.Probabilities {
			if probability > most {
				most = probability
			}
		}
		fmt.Printf("%s: %s %.4f\n", flag.Arg(i), answer.Label, most)
	}
}
