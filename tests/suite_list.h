/* One line a suite, sorted: SUITE(x) is the table x_tests of test_x.c. */
SUITE(base)
SUITE(file)
SUITE(image)
SUITE(kernel_rows)
SUITE(kernels)
SUITE(loader)
SUITE(model)
SUITE(npy)
