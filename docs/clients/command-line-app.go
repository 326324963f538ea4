// A command-line app: the browser comes back to a port that is free. Go's standard library is enough.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
)

const (
	issuer   = "http://localhost:3001"
	clientID = "command-line-app"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	redirectURI := fmt.Sprintf("http://%s/callback", listener.Addr())
	verifier, state := random(), random()
	digest := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {clientID},
		"redirect_uri":          {redirectURI},
		"scope":                 {"answer"},
		"state":                 {state},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(digest[:])},
		"code_challenge_method": {"S256"},
	}
	fmt.Printf("Open %s/authorize?%s\n", issuer, query.Encode())

	answer := waitForAnswer(listener)
	if answer.Get("state") != state || answer.Get("iss") != issuer {
		log.Fatal("this is not the answer to this request")
	}
	if !answer.Has("code") {
		log.Fatalf("no code: %s", answer.Get("error"))
	}

	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	response, err := http.PostForm(issuer+"/token", url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {clientID},
		"code":          {answer.Get("code")},
		"redirect_uri":  {redirectURI},
		"code_verifier": {verifier},
	})
	decode(response, err, &tokens)

	var secure struct{ Answer int }
	request, err := http.NewRequest("GET", issuer+"/secure", nil)
	check(err)
	request.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	response, err = http.DefaultClient.Do(request)
	decode(response, err, &secure)
	fmt.Println("The secret answer is", secure.Answer)
}

// waitForAnswer gives the parameters with which the browser comes back.
func waitForAnswer(listener net.Listener) url.Values {
	answers := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "Go back to the terminal.")
		select {
		case answers <- r.URL.Query():
		default: // A reload of the page.
		}
	})
	go http.Serve(listener, mux)
	return <-answers
}

// decode reads the JSON of a response into value.
func decode(response *http.Response, err error, value any) {
	check(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		log.Fatal(response.Status)
	}
	check(json.NewDecoder(response.Body).Decode(value))
}

func random() string {
	bytes := make([]byte, 32)
	_, err := rand.Read(bytes)
	check(err)
	return base64.RawURLEncoding.EncodeToString(bytes)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
