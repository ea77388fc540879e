// Linked with one translation unit a header: a function that lacks `inline` would be defined twice.
int main() {}
