import vue from "@vitejs/plugin-vue";

const isCustomElement = (tag) => tag === "affect-lens";
export default { plugins: [vue({ template: { compilerOptions: { isCustomElement } } })], build: { rollupOptions: { input: "vue.html" } } };
