module example.com/graft-predict

go 1.19
