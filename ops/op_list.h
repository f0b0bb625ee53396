/* One line an operator, sorted by name as strcmp sorts. */
OT_OP(Expand)
OT_OP(ExpandLike)
OT_OP(Relu)
OT_OP(ReluGrad)
OT_OP(SumTo)
