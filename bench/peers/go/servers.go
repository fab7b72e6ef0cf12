// The servers: echo, http.
package main

import (
	"io"
	"net"
	"net/http"
)

func echoClient(client net.Conn) {
	defer client.Close()
	bytes := make([]byte, 4096)
	for {
		n, err := client.Read(bytes)
		if err != nil {
			return
		}
		if _, err = client.Write(bytes[:n]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+given["port"])
	check(err == nil)
	for {
		client, err := listener.Accept()
		check(err == nil)
		go echoClient(client)
	}
}

func httpServer() {
	hello := func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain")
		io.WriteString(answer, "Hello, World!")
	}
	check(http.ListenAndServe("127.0.0.1:"+given["port"], http.HandlerFunc(hello)) == nil)
}
