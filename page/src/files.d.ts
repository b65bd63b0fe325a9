declare module "*.csv" {
  const text: string;
  export default text;
}
declare module "*.png" {
  const url: string;
  export default url;
}
declare module "*.css";
