module example.com/sample/core

go 1.26.0
