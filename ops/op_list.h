/* One line an operator, sorted by name as strcmp sorts. */
OT_OP(Relu)
OT_OP(ReluGrad)
OT_OP(SumTo)
